"""Appending to a stream without webhooks: what is stored is what a gateway would store."""

from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from bench.contestants.contestant import CheckError
from bench.feed import webhooks
from bench.feed.jetstream.appends import Appends
from bench.feed.jetstream.floor import Floor
from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from tests.harness.events import FORMAT
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, with_nats

pytestmark = with_nats

_LIMITS = Retention(86_400.0, 2**30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path_factory.mktemp("nats"))) as cluster:
        yield cluster


def test_a_gateway_takes_what_it_stores_for_its_own(
    loop: LoopThread, server: NatsCluster, tmp_path: Path
) -> None:
    async def run() -> tuple[Span, list[str]]:
        client = await nats.connect(f"nats://{server.addresses[0]}")
        floor = Floor(client, "FLOOR")
        await floor.create()
        await floor.append(100, together=64)
        await floor.append_singly(1, together=64)
        await client.close()
        place = StreamPlace(server.addresses, "FLOOR")
        log = await open_log(place, tmp_path / "index.db", FORMAT, _LIMITS)
        assert log.copying is not None
        await log.copying.filled()
        found = [await log.index.raw([it], None) for it in (1, 101)]
        span = log.index.span
        await log.close()
        return span, [it[number].decode() for number, it in zip((1, 101), found, strict=True)]

    span, raw = loop.run(run())

    assert span == Span(1, 101)
    assert raw == [webhooks.body(it, webhooks.CONFERENCES).decode() for it in (0, 100)]


def test_the_log_alone_stores_the_same(
    loop: LoopThread, server: NatsCluster, tmp_path: Path
) -> None:
    async def run() -> tuple[Span, int]:
        place = StreamPlace(server.addresses, "APPENDS")
        log = await open_log(place, tmp_path / "index.db", FORMAT, _LIMITS)
        appends = Appends(log)
        await appends.append(100, together=64)
        await appends.append(1, together=64)
        raw = await log.index.raw(range(1, 102), None)
        span = log.index.span
        await log.close()
        return span, len(set(raw.values()))

    assert loop.run(run()) == (Span(1, 101), 101)


def test_what_the_server_refuses_is_no_figure(loop: LoopThread, server: NatsCluster) -> None:
    async def run() -> None:
        client = await nats.connect(f"nats://{server.addresses[0]}")
        first, second = Floor(client, "TWICE"), Floor(client, "TWICE")
        await first.create()
        await first.append(1, together=64)
        with pytest.raises(CheckError, match="wrong last sequence"):
            await second.append(2, together=64)
        await client.close()

    loop.run(run())
