"""The homes of the event log: which of them is meant, and how it is opened."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.config import Settings
from gateway.journal.format import EventFormat
from gateway.journal.jetstream import Access, StreamPlace, TlsFiles
from gateway.journal.jetstream import open_log as open_stream
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore
from gateway.textfiles import TEXT_BYTES_MAX, text_of
from gateway.values import StreamUrl
from gateway.watchedfile import contents_of

_log = logging.getLogger(__name__)


def is_there(address: Path) -> bool:
    """Whether there is something at an address that may be a log."""
    return address.exists()


async def open_home(
    address: Path,
    format_: EventFormat,
    observe: Observer[CommitEnded] = ignore,
    begins_at: int = 1,
) -> EventLog:
    """Open the log in a file, making it first where there is none. Raises LogOpenError.

    `observe` is told of each commit of events. The first event of a log that is made gets the
    number `begins_at`.
    """
    return await open_log(address, format_, observe, begins_at=begins_at)


async def open_event_log(
    settings: Settings, format_: EventFormat, observe: Observer[CommitEnded]
) -> EventLog:
    """Open the log where the settings say. Raises LogOpenError."""
    where = settings.event_log
    if isinstance(where, Path):
        return await open_log(where, format_, observe)
    log = await open_stream(
        StreamPlace(where.servers, where.stream, is_tls=where.is_tls),
        settings.index,
        format_,
        limits_of(settings),
        _access(settings, where),
        observe,
    )
    _log.info("%s: %s", where, log.durability)
    return log


def limits_of(settings: Settings) -> Retention:
    """Return the limits that are set, for a log that has none of its own."""
    return Retention(settings.retention_age, settings.retention_size)


def _access(settings: Settings, where: StreamUrl) -> Access:
    files = TlsFiles(settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key)
    return Access(
        _reading(settings.nats_login),
        _reading(settings.nats_token),
        settings.nats_creds,
        settings.nats_nkey,
        files if where.is_tls or files != TlsFiles() else None,
    )


def _reading(path: Path | None) -> Callable[[], str] | None:
    return None if path is None else partial(_text, path)


def _text(path: Path) -> str:
    return text_of(contents_of(path, TEXT_BYTES_MAX))
