"""What a leader says is believed when it has heard of the others: they may have another one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import BrokerError
from gateway.journal.reading import Span
from tests.harness.events import new_event
from tests.harness.link import Link
from tests.harness.loop import LoopThread
from tests.harness.nats import running, three_servers, with_nats
from tests.harness.streams import leader_of
from tests.journal.jetstream.logs import Streams, streams_of

pytestmark = with_nats


@pytest.fixture
def routes(loop: LoopThread) -> Iterator[dict[tuple[int, int], Link]]:
    made: dict[tuple[int, int], Link] = {}
    yield made
    for link in made.values():
        link.close()


@pytest.fixture
def parted(
    loop: LoopThread, tmp_path: Path, routes: dict[tuple[int, int], Link]
) -> Iterator[Streams]:
    """A stream of three servers whose routes can be cut."""

    def way(from_: int, to: int, port: int) -> int:
        routes[from_, to] = Link(loop, port)
        return routes[from_, to].port

    with (
        running(three_servers(tmp_path / "nats", way=way)) as cluster,
        streams_of(loop, cluster, tmp_path) as made,
    ):
        yield made


@pytest.mark.slow
def test_a_leader_without_followers_is_not_believed(
    loop: LoopThread, parted: Streams, routes: dict[tuple[int, int], Link]
) -> None:
    log = parted.open()
    log.append(new_event())
    cluster = parted.cluster
    leader = cluster.of_name(loop.run(leader_of(cluster, parted.name), 60))
    number = cluster.servers.index(leader)

    async def believed() -> bool:
        broker = await Broker.connect_now(StreamPlace((leader.address,), parted.name), Access())
        api = JetStreamApi(broker, parted.name)
        try:
            assert await api.info() is not None, "it takes itself for the leader"
            found = await api.certain_info()
        except BrokerError as error:
            assert "does not hear from the other servers" in str(error)  # noqa: PT017
            return False
        finally:
            await broker.close()
        return found is not None and found.span == Span(1, 1)

    assert loop.run(believed(), 60)
    assert log.log.copying is not None
    loop.run(log.log.copying.reach(7, 1.0), 60)  # it never had that
    for ends, link in routes.items():
        if number in ends:
            link.cut()

    assert not loop.run(believed(), 60)
