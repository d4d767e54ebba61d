"""NATS servers for a measurement: those of the tests, on the cores of what is measured."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.contestants.gateway import GatewayProcess
from bench.feed.stage import Stage
from bench.processes import on_cores
from tests.harness.nats import NatsCluster, one_server, running, three_servers

# What the stream may hold: the server reserves it on the disk.
_SIZE = "2GiB"


@contextmanager
def nats_servers(stage: Stage, replicas: int, name: str = "nats") -> Iterator[NatsCluster]:
    """Have one server run, or three, which sync each message before they acknowledge it.

    What they hold is in a folder of some name.
    """
    folder = stage.processes.folder / f"{name}-{replicas}"
    cluster = one_server(folder) if replicas == 1 else three_servers(folder)
    with ExitStack() as stack:
        with on_cores(stage.processes.cores.measured):
            stack.enter_context(running(cluster))
        yield cluster


def gateway_on(
    stage: Stage,
    cluster: NatsCluster,
    stream: str,
    name: str = "index",
    ports: tuple[int, int] | None = None,
) -> GatewayProcess:
    """Start a gateway with its log in a stream, and its index in a file of some name.

    At `ports`, if it is to be found where it was.
    """
    index = stage.log(f"{stream}-{name}")
    return stage.gateway(
        index,
        {
            "GATEWAY_EVENT_LOG": cluster.url(stream),
            "GATEWAY_INDEX": str(index),
            "GATEWAY_RETENTION_SIZE": _SIZE,
        },
        ports,
    )
