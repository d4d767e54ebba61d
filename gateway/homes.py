"""Homes: where a log can be kept, and how one is opened by its address."""

from pathlib import Path

from gateway.journal.format import EventFormat
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore


def is_there(address: Path) -> bool:
    """Whether there is something at an address that may be a log."""
    return address.exists()


async def open_home(
    address: Path,
    format_: EventFormat,
    observe: Observer[CommitEnded] = ignore,
    begins_at: int = 1,
) -> EventLog:
    """Open the log at an address, making it first where there is none. Raises LogOpenError.

    `observe` is told of each commit of events. The first event of a log that is made gets the
    number `begins_at`.
    """
    return await open_log(address, format_, observe, begins_at=begins_at)
