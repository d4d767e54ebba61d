"""What nobody takes is sent again: a stream that was just made is not known to all servers yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import NotTakenError
from gateway.journal.jetstream.publishing import NOT_TAKEN_PAUSES, Outgoing, Publishing
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import Streams

pytestmark = with_nats


@asynccontextmanager
async def made_after(
    streams: Streams, pauses: int, paused: list[float]
) -> AsyncIterator[Publishing]:
    """Publishing to a stream that is not there, and is made in one of the pauses."""
    broker = await Broker.connect_now(streams.place, Access())
    api = JetStreamApi(broker, streams.name)

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == pauses:
            await api.create(
                {
                    "name": streams.name,
                    "subjects": [f"{streams.name}.>"],
                    "allow_atomic": True,
                }
            )

    try:
        yield Publishing(broker, api, pause)
    finally:
        await broker.close()


def events(streams: Streams, count: int) -> list[Outgoing]:
    return [Outgoing(f"{streams.name}.{it}", b"x") for it in range(count)]


@pytest.mark.parametrize("count", [1, 20], ids=["one", "many"])
def test_it_is_stored_as_soon_as_somebody_takes_it(streams: Streams, count: int) -> None:
    async def store() -> tuple[list[int], int]:
        paused: list[float] = []
        sent = events(streams, count)
        async with made_after(streams, 3, paused) as publishing:
            if count == 1:
                stored = [await publishing.one(sent[0])]
            else:
                stored = list(await publishing.many(sent) or ())
        return [it.sequence for it in stored], len(paused)

    assert streams.loop.run(store(), 60) == (list(range(1, count + 1)), 3)


def test_what_nobody_takes_for_a_second_fails(streams: Streams) -> None:
    async def store() -> list[float]:
        paused: list[float] = []
        async with made_after(streams, 10**6, paused) as publishing:
            with pytest.raises(NotTakenError):
                await publishing.one(events(streams, 1)[0])
        return paused

    paused = streams.loop.run(store(), 60)
    assert len(paused) == NOT_TAKEN_PAUSES
    assert sum(paused) == pytest.approx(1.0, rel=0.1)
