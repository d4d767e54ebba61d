"""The stage: servers, gateways, and a way from each gateway to each server that can be cut."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.journal.cursor import Cursor
from tests.chaos.replica import Replica
from tests.harness.disks import SmallDisk, small_disk
from tests.harness.link import Link
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, NatsServer, one_server, running, three_servers, until
from tests.harness.needs import MOUNTS
from tests.harness.streams import leader_of, span_of, step_down
from tests.oracle.disk import read_log
from tests.oracle.remote import RemoteLog
from tests.oracle.stream import read_stream

STREAM = "EVENTS"

# More than any test stores; a server reserves it.
_SIZE_MAX = "64MiB"

# How large the disk of a server is: it gives streams three quarters of it.
_DISK = "128m"

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
    # From each server to each other, by their numbers.
    routes: Mapping[tuple[int, int], Link]
    # Of each server, where disks may be made.
    disks: Sequence[SmallDisk] = ()

    def leader(self) -> NatsServer:
        """Return the server that leads the stream now."""
        return self.cluster.of_name(self.loop.run(leader_of(self.cluster, STREAM), _ASK_S))

    def step_down(self) -> None:
        """Have the stream elect another leader."""
        self.loop.run(step_down(self.cluster, STREAM), _ASK_S)

    def span(self) -> tuple[int, int]:
        """Return the number before the first that the stream holds, and the last one."""
        return self.loop.run(span_of(self.cluster, STREAM), _ASK_S)

    def held(self, gateway: int) -> tuple[int, int] | None:
        """Return the same of a gateway, None if it does not say."""
        events = EventServiceStub(self.channels[gateway])
        try:
            info = events.GetFeedInfo(GetFeedInfoRequest(), timeout=_CALL_S)
        except grpc.RpcError:
            return None
        oldest, newest = map(Cursor.parse, (info.oldest_cursor, info.newest_cursor))
        return oldest.sequence, newest.sequence

    def settle(self) -> None:
        """Wait until every gateway serves, and has what the stream has."""
        for replica in self.replicas:
            replica.wait()
        gateways = range(len(self.channels))
        until(lambda: {*map(self.held, gateways)} == {self.span()}, "all have all")

    def begin_anew(self) -> None:
        """Go on with the log that the gateways have now, which was to take the place of another."""
        eras = self.log.model.eras
        if eras:
            eras[-1].replaced = True
        info = EventServiceStub(self.channels[0]).GetFeedInfo(
            GetFeedInfoRequest(), timeout=_CALL_S, wait_for_ready=True
        )
        self.log.model.begin(bytes.fromhex(info.epoch))

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


@contextmanager
def set_up(
    loop: LoopThread,
    folder: Path,
    servers: int,
    gateways: int,
    module: str = "tests.chaos.clocked_gateway",
    **env: str,
) -> Iterator[Stage]:
    """Run servers and gateways, which are what a module runs."""
    routes: dict[tuple[int, int], Link] = {}

    def way(from_: int, to: int, port: int) -> int:
        routes[from_, to] = link = Link(loop, port)
        stack.callback(link.close)
        return link.port

    with ExitStack() as stack:
        nats = folder / "nats"
        made = one_server(nats) if servers == 1 else three_servers(nats, way=way)
        disks = [stack.enter_context(small_disk(it.store, _DISK)) for it in made.servers if MOUNTS]
        cluster = stack.enter_context(running(made))
        links = [[Link(loop, it.port) for it in cluster.servers] for _ in range(gateways)]
        for link in (link for ways in links for link in ways):
            stack.callback(link.close)
        replicas = []
        for number, ways in enumerate(links):
            where = ",".join(f"127.0.0.1:{it.port}" for it in ways)
            settings = {
                "GATEWAY_EVENT_LOG": f"nats://{where}/{STREAM}",
                "GATEWAY_RETENTION_SIZE": _SIZE_MAX,
                **env,
            }
            replicas.append(Replica(number, folder, module, **settings))
            stack.callback(replicas[-1].close)
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.wait()
        channels = [grpc.insecure_channel(it.grpc_address, _CHANNEL) for it in replicas]
        for channel in channels:
            stack.callback(channel.close)
        log = RemoteLog(lambda: read_stream(loop, cluster, STREAM, log.model.era.epoch))
        stage = Stage(loop, cluster, replicas, links, channels, log, routes, disks)
        stage.begin_anew()
        yield stage
