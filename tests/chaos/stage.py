"""The stage: servers, gateways, and a way from each gateway to each server that can be cut."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.journal.cursor import Cursor
from tests.chaos.replica import Replica
from tests.harness.link import Link
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, NatsServer, one_server, running, three_servers, until
from tests.harness.streams import leader_of, newest_of, step_down, stored_in
from tests.oracle.disk import Reading, read_log
from tests.oracle.model import Row
from tests.oracle.remote import RemoteLog

STREAM = "EVENTS"

# More than any test stores; a server reserves it.
_SIZE_MAX = "256MiB"

# How long a question to servers that elect a leader may take, in seconds.
_ASK_S = 60.0

# How long a gateway may take for what is no stream, in seconds.
_CALL_S = 5.0

# Each channel has connections of its own, and tries for them again soon: who follows a feed does.
_CHANNEL = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
]


@dataclass(frozen=True)
class Stage:
    """What faults are done to. Use `set_up`."""

    loop: LoopThread
    cluster: NatsCluster
    replicas: Sequence[Replica]
    # From each gateway to each server.
    links: Sequence[Sequence[Link]]
    channels: Sequence[grpc.Channel]
    log: RemoteLog

    def leader(self) -> NatsServer:
        """Return the server that leads the stream now."""
        return self.cluster.of_name(self.loop.run(leader_of(self.cluster, STREAM), _ASK_S))

    def step_down(self) -> None:
        """Have the stream elect another leader."""
        self.loop.run(step_down(self.cluster, STREAM), _ASK_S)

    def newest(self) -> int:
        """Return the last number that the stream has given."""
        return self.loop.run(newest_of(self.cluster, STREAM), _ASK_S)

    def settle(self) -> None:
        """Wait until every gateway serves, and has what the stream has."""
        for replica in self.replicas:
            replica.wait()
        until(lambda: {*map(self._position, self.channels)} == {self.newest()}, "all have all")

    def audit(self) -> None:
        """Compare with the stream, and with each gateway's copy of it, what should be stored."""
        self.log.audit(*(lambda path=it.index: read_log(path) for it in self.replicas))

    def faults(self) -> list[str]:
        """Return what gateways did that none should do, whatever happens around them."""
        found = []
        for replica in self.replicas:
            found += [f"gateway {replica.number} ended by itself:\n{it}" for it in replica.crashes]
            if any("Traceback" in line for line in replica.log):
                found.append(f"gateway {replica.number} had a traceback:\n{''.join(replica.log)}")
        return found

    def _position(self, channel: grpc.Channel) -> int:
        try:
            info = EventServiceStub(channel).GetFeedInfo(GetFeedInfoRequest(), timeout=_CALL_S)
        except grpc.RpcError:
            return -1
        return Cursor.parse(info.newest_cursor).sequence


@contextmanager
def set_up(
    loop: LoopThread, folder: Path, servers: int, gateways: int, **env: str
) -> Iterator[Stage]:
    """Run servers and gateways."""
    made = {1: one_server, 3: three_servers}[servers](folder / "nats")
    with ExitStack() as stack:
        cluster = stack.enter_context(running(made))
        links = [[Link(loop, it.port) for it in cluster.servers] for _ in range(gateways)]
        for link in (link for ways in links for link in ways):
            stack.callback(link.close)
        replicas = []
        for number, ways in enumerate(links):
            where = ",".join(f"127.0.0.1:{it.port}" for it in ways)
            log = {"GATEWAY_EVENT_LOG": f"nats://{where}/{STREAM}"}
            size = {"GATEWAY_RETENTION_SIZE": _SIZE_MAX}
            replicas.append(Replica(number, folder, **{**log, **size, **env}))
            stack.callback(replicas[-1].close)
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.wait()
        channels = [grpc.insecure_channel(it.grpc_address, _CHANNEL) for it in replicas]
        for channel in channels:
            stack.callback(channel.close)
        stage = Stage(
            loop, cluster, replicas, links, channels, RemoteLog(lambda: _read(loop, cluster))
        )
        info = EventServiceStub(channels[0]).GetFeedInfo(GetFeedInfoRequest(), timeout=_CALL_S)
        stage.log.model.begin(bytes.fromhex(info.epoch))
        yield stage


def _read(loop: LoopThread, cluster: NatsCluster) -> Reading:
    stored, dropped = loop.run(stored_in(cluster, STREAM), _ASK_S)
    rows = [Row(it.sequence, it.id, it.received_at_us, it.body, it.raw) for it in stored]
    return rows, dropped, ""
