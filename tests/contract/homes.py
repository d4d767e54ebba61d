"""Homes under test: what keeps a log's events, and how a log is made there.

A home is added to the contract by a line in `HOMES`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from gateway.journal.format import EventFormat
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from tests.contract.memory import MemoryPlace


class Place(Protocol):
    """Where one log is kept. It can be opened again after it was closed."""

    async def open(self, format_: EventFormat) -> EventLog:
        """Open the log; the first time makes it, empty. Raises LogOpenError."""

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        """Make the log and open it; its first event is to get a number."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home: its name, and what makes a place there for one more log and takes it away again."""

    name: str
    place: Callable[[], AbstractAsyncContextManager[Place]]


@dataclass(frozen=True, slots=True)
class File:
    """The place of a log on SQLite."""

    path: Path

    async def open(self, format_: EventFormat) -> EventLog:
        return await open_log(self.path, format_)

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        return await open_log(self.path, format_, begins_at=begins_at)


@asynccontextmanager
async def _file() -> AsyncIterator[Place]:
    with TemporaryDirectory() as folder:
        yield File(Path(folder) / "events.db")


MEMORY = Home("memory", lambda: nullcontext(MemoryPlace()))
HOMES = (MEMORY, Home("sqlite", _file))
