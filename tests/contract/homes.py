"""Homes under test: what keeps a log's events, and how a log is made there.

A home is added to the contract by a line in `HOMES`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest

from gateway.journal.format import EventFormat
from gateway.journal.jetstream import StreamPlace
from gateway.journal.jetstream import open_log as open_stream
from gateway.journal.jetstream.bucket import bucket_of
from gateway.journal.jetstream.lease import Term
from gateway.journal.moves import Opening
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from tests.contract.memory import MemoryPlace
from tests.harness.nats import NatsCluster, SharedServers, delete_streams, with_nats


class Place(Protocol):
    """Where one log is kept. It can be opened again after it was closed."""

    async def open(self, format_: EventFormat) -> EventLog:
        """Open the log; the first time makes it, empty. Raises LogOpenError."""

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        """Make the log and open it; its first event is to get a number."""

    async def beside(self, format_: EventFormat) -> EventLog | None:
        """Open the log that is open, as one more gateway; None where one process has it alone."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home: its name, and what makes a place there for one more log and takes it away again.

    `marks` are those of the tests that use it. Of the examples of a check one in `one_in` is enough
    for it: what it shows in addition to another home is not in what it finds.
    """

    name: str
    place: Callable[[], AbstractAsyncContextManager[Place]]
    marks: tuple[pytest.MarkDecorator, ...] = ()
    one_in: int = 1


@dataclass(frozen=True, slots=True)
class File:
    """The place of a log on SQLite."""

    path: Path

    async def open(self, format_: EventFormat) -> EventLog:
        return await open_log(self.path, format_)

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        return await open_log(self.path, format_, opening=Opening(begins_at))

    async def beside(self, format_: EventFormat) -> EventLog | None:
        return None


@asynccontextmanager
async def _file() -> AsyncIterator[Place]:
    with TemporaryDirectory() as folder:
        yield File(Path(folder) / "events.db")


@dataclass(frozen=True, slots=True)
class Stream:
    """The place of a log on JetStream, with the index of one gateway."""

    cluster: NatsCluster
    name: str
    folder: Path

    async def open(self, format_: EventFormat) -> EventLog:
        return await self.begun(format_, 1)

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        return await self._opened("index", format_, Opening(begins_at))

    async def beside(self, format_: EventFormat) -> EventLog | None:
        return await self._opened(secrets.token_hex(4), format_, Opening())

    async def _opened(self, index: str, format_: EventFormat, opening: Opening) -> EventLog:
        place, path = StreamPlace(self.cluster.addresses, self.name), self.folder / f"{index}.db"
        return await open_stream(place, path, format_, _FOR_EVER, opening=opening, term=_BRIEF)


@asynccontextmanager
async def _stream(replicas: int) -> AsyncIterator[Place]:
    cluster = await asyncio.to_thread(SERVERS.of, replicas)
    stream = f"S{secrets.token_hex(4)}"
    with TemporaryDirectory() as folder:
        yield Stream(cluster, stream, Path(folder))
    await delete_streams(cluster, stream, f"KV_{bucket_of(stream)}")


# Those of all checks; whoever runs them closes them at the end.
SERVERS = SharedServers()

# More than any check stores, and little enough for a server to give to several.
_FOR_EVER = Retention(3650 * 86_400, 2**28)

# Short, so that checks need not wait, and long enough for a machine that is busy.
_BRIEF = Term(held=3.0, untouched=4.0, renew_every=0.5, look_every=0.05)

MEMORY = Home("memory", lambda: nullcontext(MemoryPlace()))
SQLITE = Home("sqlite", _file)

# Those that a gateway's log can be in.
KEPT_HOMES = (
    SQLITE,
    Home("jetstream-1", lambda: _stream(1), (with_nats,)),
    # Three servers give events their numbers as one does; what is read is read from the same index.
    Home("jetstream-3", lambda: _stream(3), (with_nats, pytest.mark.slow), one_in=6),
)
HOMES = (MEMORY, *KEPT_HOMES)
