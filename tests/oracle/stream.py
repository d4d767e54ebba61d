"""A world's log in a stream of a real NATS server, and the index of its gateway.

A life of the gateway has a way to the server of its own. It is cut off when it dies; and for a
while it may be cut off and live, as where a file has no room: nothing is stored then.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.feed.frames import EventFraming
from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.jetstream.bucket import bucket_of
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from tests.harness.events import FORMAT
from tests.harness.link import Link
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, delete_streams, one_server, running, until
from tests.harness.streams import stored_in
from tests.oracle.bridged import bridged
from tests.oracle.disk import Reading, copy_log, read_log, tear, wal_of
from tests.oracle.history import events_in
from tests.oracle.kept import CHECKPOINT_PAGES, Keeping, Kept
from tests.oracle.model import Row
from tests.oracle.stepped import Late, RestlessError, SteppedLoop

# More than any schedule stores.
_FOR_EVER = Retention(3650 * 86_400, 2**28)

# What anything may take on the slowest machine, in seconds.
_PATIENCE_S = 60.0


class LogStream:
    """A log in a stream."""

    failed_is_nothing = False

    def __init__(
        self, loop: SteppedLoop, real: LoopThread, cluster: NatsCluster, folder: Path
    ) -> None:
        self._loop, self._real, self._cluster = loop, real, cluster
        self._folder = folder
        self._name = f"S{secrets.token_hex(4)}"
        self._links: list[Link] = []
        self._log: EventLog | None = None
        self._epoch = b""
        self._lives = 0
        self._index = self._new_index()
        self.can_delete = True

    async def open(self, *, checkpoints: bool, late: Late | None) -> EventLog:
        link = Link(self._real, self._cluster.servers[0].port)
        self._links.append(link)
        self.can_delete = True
        place = StreamPlace((f"127.0.0.1:{link.port}",), self._name)
        opening = open_log(place, self._index, FORMAT, _FOR_EVER)
        self._log = log = self._real.run(opening, _PATIENCE_S)
        self._epoch = log.journal.epoch
        if checkpoints:
            assert isinstance(log.index, StandingCopy)
            connection = log.index._copy._opened.connection
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return bridged(self._loop, self._real, log, None if late is None else late.call)

    def read(self) -> Sequence[Reading]:
        stream = read_stream(self._real, self._cluster, self._name, self._epoch)
        return [stream, read_log(self._index)]

    async def lose_room(self, log: EventLog) -> None:
        self.can_delete = False
        self._links[-1].cut()
        self._until(lambda it: it.journal.problem is not None, "it knows")

    async def get_room(self, log: EventLog) -> None:
        if not self.can_delete:
            self.can_delete = True
            self._links[-1].mend()
            self._until(_is_up, "it is up")

    def written(self) -> int:
        return wal_of(self._index).stat().st_size if wal_of(self._index).exists() else 0

    def copy(self) -> None:
        self._links[-1].cut()
        old, self._index = self._index, self._new_index()
        copy_log(old, self._index)

    def tear(self, since: int, share: float, *, garbled: bool) -> bool:
        return tear(self._index, since, share, garbled=garbled)

    def replace(self) -> None:
        # Its index stays, and is of another log then.
        self._real.run(delete_streams(self._cluster, self._name), _PATIENCE_S)

    def close(self) -> None:
        for link in self._links:
            link.close()
        names = self._name, f"KV_{bucket_of(self._name)}"
        self._real.run(delete_streams(self._cluster, *names), _PATIENCE_S)

    def _until(self, holds: Callable[[EventLog], bool], what: str) -> None:
        log = self._log
        assert log is not None
        try:
            until(lambda: self._real.call(lambda: holds(log)), what)
        except AssertionError as error:
            # A broken build may store what no index takes, so that nothing goes on.
            raise RestlessError(str(error)) from error

    def _new_index(self) -> Path:
        self._lives += 1
        folder = self._folder / str(self._lives)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder / "index.db"


def _is_up(log: EventLog) -> bool:
    copying = log.copying
    assert copying is not None
    return log.journal.problem is None and copying.lag is None and not copying.behind


def read_stream(loop: LoopThread, cluster: NatsCluster, stream: str, epoch: bytes) -> Reading:
    """Read the stream of a log with an epoch, as every gateway sends its events."""
    stored, dropped = loop.run(stored_in(cluster, stream), _PATIENCE_S)
    framing = EventFraming(epoch)
    rows = [
        Row(
            it.sequence,
            it.id,
            it.received_at_us,
            next(events_in(b"".join(framing.frame(it.sequence, it.body)))),
            it.raw,
        )
        for it in stored
    ]
    return rows, dropped, ""


@contextmanager
def in_streams(folder: Path) -> Iterator[Keeping]:
    """Keep logs in streams of a server of their own."""
    real = LoopThread()

    @contextmanager
    def kept(loop: SteppedLoop, folder: Path) -> Iterator[Kept]:
        stream = LogStream(loop, real, cluster, folder)
        try:
            yield stream
        finally:
            stream.close()

    try:
        # Nobody pulls a plug here: what is synced is not the point.
        with running(one_server(folder, sync="2m")) as cluster:
            yield kept
    finally:
        real.close()
