"""Random schedules against a whole gateway: webhooks posted and signed, streams over real sockets.

The same guarantees as for the schedules in the process, on what callers really get, over each home
of the log.
"""

import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.nats import with_nats
from tests.oracle import posts
from tests.oracle.author import Author
from tests.oracle.disk import fast_folder
from tests.oracle.history import After, Latest, Opening, Rest, Stream
from tests.oracle.model import Posted
from tests.oracle.remote import RemoteReader, posted
from tests.oracle.remote_homes import Made, RemoteHome, in_file, made_in
from tests.oracle.verdict import violations

IN_SOAK = bool(os.environ.get("SOAK"))
SCHEDULES = 300 if IN_SOAK else 30
# Over a server each takes twice as long, and what is above the log is the same.
OVER_STREAM = 100 if IN_SOAK else 8
STEPS = 14
RETENTION_S = 3_600.0


class Sockets:
    """One gateway with everybody around it, for one schedule."""

    def __init__(self, loop: LoopThread, folder: Path, home: RemoteHome, seed: int) -> None:
        self._loop = loop
        self._folder = folder
        self._home = home
        self._random = random.Random(f"sockets {seed}")
        self._author = Author(self._random)
        self._window = self._random.randint(4, 12)
        self.log = home.log
        self.readers: list[RemoteReader] = []
        self._done: list[str] = []
        self._start()
        # Follows from the first event on and comes back after each restart.
        self.witness = RemoteReader("witness", self.log)
        self.readers.append(self.witness)
        self._follow(self.witness, Opening(goes_on=True))

    def run(self) -> list[Stream]:
        steps = (
            *[self._post] * 6,
            *[self._subscribe] * 4,
            *[self._resume] * 3,
            self._leave,
            self._prune,
            self._restart,
        )
        for _ in range(STEPS):
            step = self._random.choice(steps)
            self._done.append(step.__name__)
            step()
        self._rest()
        self._gateway.close()
        for reader in self.readers:
            reader.join()
        self.log.audit()
        return [stream for reader in self.readers for stream in reader.streams]

    def __str__(self) -> str:
        return f"window {self._window}: {', '.join(self._done)}"

    def _start(self) -> None:
        env = {**self._home.env, "GATEWAY_RETENTION_AGE": f"{RETENTION_S:.0f}s"}
        self._gateway = RunningGateway(self._loop, self._folder, "http://127.0.0.1:9/v2", **env)
        # As small as in the other schedules, so that the seam is crossed all the time.
        feed = self._gateway.app._feed
        window = self._loop.run(Window.of(feed.index, entries_max=self._window))
        feed._dispatcher.window = window
        if not self.log.model.eras:
            info = self._gateway.events.GetFeedInfo(GetFeedInfoRequest())
            self.log.model.begin(bytes.fromhex(info.epoch))

    def _post(self) -> None:
        events = list(map(_webhook, self._author.ids(self._random.choice([1, 2, 5, 9]))))
        statuses = self.log.post(self._gateway.webhooks, events)
        assert set(statuses) == {200}
        self._rest()

    def _subscribe(self) -> None:
        opening = self._author.opening(self._author.place())
        era = self.log.model.era
        if self._random.random() < 0.15:
            ahead = Cursor(era.epoch, era.newest + self._random.randint(1, 5))
            opening = replace(opening, place=After(str(ahead)))
        reader = RemoteReader(f"r{len(self.readers)}", self.log)
        self.readers.append(reader)
        self._follow(reader, opening)

    def _follow(self, reader: RemoteReader, opening: Opening) -> Stream:
        stream = reader.open(self._gateway.channel, opening)
        reader.wait_until(lambda it: bool(it.responses))
        return stream

    def _resume(self) -> None:
        known = [it for it in self.readers if any(stream.responses for stream in it.streams)]
        reader = self._random.choice(known)
        if reader is not self.witness:
            self._come_back(reader)

    def _come_back(self, reader: RemoteReader) -> None:
        reader.leave()
        before = next(stream for stream in reversed(reader.streams) if stream.responses)
        drawn = before.opening if reader is self.witness else self._author.opening(Latest())
        wanted = before.opening.wanted
        opening = replace(drawn, wanted=wanted, place=After(reader.cursor))
        self._follow(reader, opening).resumes = before

    def _leave(self) -> None:
        reader = self._random.choice(self.readers)
        if reader is not self.witness:
            reader.leave()

    def _prune(self) -> None:
        """Delete as of a time at which the retention ends in the midst of what is held."""
        era, app = self.log.model.era, self._gateway.app
        held = [it.received_at_us for number, it in era.stored.items() if number > era.pruned]
        if not held:
            return
        now = self._random.choice(held) / 1e6 + RETENTION_S
        with self.log.lock:
            should = era.plan_deletion(round((now - RETENTION_S) * 1e6), round(now * 1e6))
        # By the gateway's own retention, as it does itself.
        count = self._loop.run(app._log.index.prune(app._retention, now))
        with self.log.lock:
            era.delete(should, count)

    def _restart(self) -> None:
        for reader in self.readers:
            if reader.streams[-1].ended is None:
                reader.streams[-1].drained = self.log.known
        self._gateway.close()
        for reader in self.readers:
            reader.join()
        self.log.audit()
        self._start()
        self._come_back(self.witness)

    def _rest(self) -> None:
        """Wait until everybody has what is stored; who has not got it by then never will."""
        self.log.audit()
        newest = self.log.known.newest
        for reader in self.readers:
            if reader.wait_until(lambda stream: self._has_all(stream, newest)):
                continue
            stream = reader.streams[-1]
            if stream.ended is None:
                stream.rests.append(Rest(len(stream.responses), newest, silence=False))

    def _has_all(self, stream: Stream, newest: int) -> bool:
        if not stream.responses or not stream.responses[-1].live:
            return False
        due = [
            number
            for number in range(stream.start + 1, newest + 1)
            if stream.opening.wanted.matches(self.log.model.era.stored[number].event.fields)
        ]
        return not due or stream.position >= due[-1]


def _webhook(number: int) -> Posted:
    return posted(f"id-{number}", posts.posted(number).fields, padding=number % 7 * 300)


@pytest.fixture(scope="module")
def streams_made(loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with made_in("jetstream-1", loop, tmp_path_factory.mktemp("nats"), sync="2m") as made:
        yield made


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_every_guarantee_holds_over_sockets(loop: LoopThread, seed: int) -> None:
    _every_guarantee_holds(loop, in_file, seed)


@with_nats
@pytest.mark.parametrize("seed", range(OVER_STREAM))
def test_every_guarantee_holds_over_sockets_and_a_stream(
    loop: LoopThread, streams_made: Made, seed: int
) -> None:
    _every_guarantee_holds(loop, streams_made, seed)


def _every_guarantee_holds(loop: LoopThread, made: Made, seed: int) -> None:
    with (
        tempfile.TemporaryDirectory(dir=fast_folder(Path(tempfile.gettempdir()))) as folder,
        made(Path(folder)) as home,
    ):
        sockets = Sockets(loop, Path(folder), home, seed)
        streams = sockets.run()

    assert violations(sockets.log.model, streams) == [], sockets
    seen = [it.sequence for stream in sockets.witness.streams for it in stream.events()]
    assert seen == list(range(1, sockets.log.known.newest + 1))
