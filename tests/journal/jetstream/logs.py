"""Logs on a real NATS server: one stream that several gateways open, each with its own index."""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.events import NewEvent
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.patience import Patience
from gateway.journal.moves import AS_IT_WAS, Opening
from gateway.journal.ports import EventLog
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.records.commits import CommitEnded
from tests.harness.events import FORMAT
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, published

ROOMY = Retention(7 * 86_400.0, 2**28)

# Tests see to it that what is waited for is so; and what a log waits for in vain they need not.
BRIEF = Patience(sure_after_s=1.2, look_every_s=1.0)
IMPATIENT = replace(BRIEF, catch_up_s=0.5)

_names = itertools.count(1)

# What anything may take on the slowest machine, in seconds.
_PATIENCE_S = 60.0


class OpenStream:
    """The log as one gateway has it open."""

    def __init__(
        self,
        loop: LoopThread,
        place: StreamPlace,
        index: Path,
        limits: Retention = ROOMY,
        access: Access | None = None,
        opening: Opening = AS_IT_WAS,
        patience: Patience = BRIEF,
    ) -> None:
        self._loop, self._place, self.path = loop, place, index
        self._limits, self._access, self._opening = limits, access, opening
        self._patience = patience
        self.commits: list[CommitEnded] = []
        self._log: EventLog | None = None
        self.open()

    def open(self) -> None:
        opening = open_log(
            self._place,
            self.path,
            FORMAT,
            self._limits,
            self._access,
            self.commits.append,
            opening=self._opening,
            patience=self._patience,
        )
        self._log = self._loop.run(opening, _PATIENCE_S)

    def close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            self._loop.run(log.close(), _PATIENCE_S)

    def reopen(self) -> None:
        self.close()
        self.open()

    @property
    def log(self) -> EventLog:
        assert self._log is not None
        return self._log

    @property
    def span(self) -> Span:
        return self.log.index.span

    def append(self, *events: NewEvent) -> list[tuple[int, bool]]:
        """Append events at the same time."""

        async def all_at_once() -> list[tuple[int, bool]]:
            done = await asyncio.gather(*map(self.log.journal.append, events))
            return [(it.sequence, it.duplicate) for it in done]

        return self._loop.run(all_at_once(), _PATIENCE_S)

    def ids(self) -> list[str]:
        """Return the ids of all events that the index holds, in its order, by their bodies."""
        return [str(it) for it in self._loop.run(self._ids())]

    async def _ids(self) -> list[str]:
        span, found = self.span, list[str]()
        position = span.oldest - 1
        while position < span.newest:
            batch = await self.log.index.read(position, EVERYTHING, 1_000, EVERYTHING)
            found += [Event.FromString(event_of(it.frame)).id for it in batch.frames]
            position = batch.through
        return found

    def wait(self, holds: Callable[["OpenStream"], bool]) -> None:
        """Wait for something to hold of it."""

        async def until() -> None:
            async with asyncio.timeout(_PATIENCE_S):
                while not holds(self):  # noqa: ASYNC110 - nobody tells of all that may hold
                    await asyncio.sleep(0.01)

        self._loop.run(until(), _PATIENCE_S + 1)


class Streams:
    """Streams of some servers, and who has them open."""

    def __init__(self, loop: LoopThread, cluster: NatsCluster, folder: Path) -> None:
        self.loop, self.cluster, self._folder = loop, cluster, folder
        self.name = f"S{next(_names)}"
        self._opened: list[OpenStream] = []

    @property
    def place(self) -> StreamPlace:
        return StreamPlace(self.cluster.addresses, self.name)

    def open(self, gateway: str = "a", **more: Any) -> OpenStream:
        """Open the stream as a gateway of some name does, which has an index of its own."""
        opened = OpenStream(self.loop, self.place, self._folder / f"{gateway}.db", **more)
        self._opened.append(opened)
        return opened

    def opening(self, gateway: str) -> Coroutine[Any, Any, EventLog]:
        """Return what opens it so, for somebody who opens several at the same time."""
        return open_log(self.place, self._folder / f"{gateway}.db", FORMAT, ROOMY)

    def ask(self, subject: str, body: Any = None) -> Any:
        """Ask JetStream's API something, as an operator would."""
        return self.loop.run(self._asked(f"$JS.API.{subject}", body), _PATIENCE_S)

    def send(self, subject: str, data: bytes) -> None:
        """Publish a message, as a foreign program would."""

        self.loop.run(published(self.cluster, subject, data), _PATIENCE_S)

    def send_core(self, subject: str, data: bytes) -> None:
        """Publish a message that no stream need take."""
        self.loop.run(self._sent(subject, data), _PATIENCE_S)

    async def _sent(self, subject: str, data: bytes) -> None:
        client = await nats.connect([f"nats://{it}" for it in self.cluster.addresses])
        await client.publish(subject, data)
        await client.close()

    async def _asked(self, subject: str, body: Any) -> Any:
        client = await nats.connect([f"nats://{it}" for it in self.cluster.addresses])
        try:
            data = b"" if body is None else json.dumps(body).encode()
            return json.loads((await client.request(subject, data, timeout=_PATIENCE_S)).data)
        finally:
            await client.close()

    def close(self) -> None:
        for one in self._opened:
            one.close()


@contextmanager
def streams_of(loop: LoopThread, cluster: NatsCluster, folder: Path) -> Iterator[Streams]:
    streams = Streams(loop, cluster, folder)
    try:
        yield streams
    finally:
        streams.close()
