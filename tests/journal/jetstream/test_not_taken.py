"""What nobody takes is sent again: a stream that was just made is not known to all servers yet."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import NotTakenError
from gateway.journal.jetstream.publishing import NOT_TAKEN_PAUSES, Outgoing, Publishing
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import Streams

pytestmark = with_nats


class Stage(NamedTuple):
    publishing: Publishing
    broker: Broker
    # What it pauses by.
    pause: Callable[[float], Awaitable[None]]


@asynccontextmanager
async def made_after(streams: Streams, pauses: int, paused: list[float]) -> AsyncIterator[Stage]:
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
        yield Stage(Publishing(broker, api, pause), broker, pause)
    finally:
        await broker.close()


def events(streams: Streams, count: int) -> list[Outgoing]:
    return [Outgoing(f"{streams.name}.{it}", b"x") for it in range(count)]


@pytest.mark.parametrize("count", [1, 20], ids=["one", "many"])
def test_it_is_stored_as_soon_as_somebody_takes_it(streams: Streams, count: int) -> None:
    async def store() -> tuple[list[int], int]:
        paused: list[float] = []
        sent = events(streams, count)
        async with made_after(streams, 3, paused) as stage:
            if count == 1:
                stored = [await stage.publishing.one(sent[0])]
            else:
                stored = list(await stage.publishing.many(sent) or ())
        return [it.sequence for it in stored], len(paused)

    assert streams.loop.run(store(), 60) == (list(range(1, count + 1)), 3)


@pytest.mark.parametrize("count", [1, 20], ids=["one", "many"])
def test_what_nobody_takes_for_a_second_fails_and_what_follows_it_at_once(
    streams: Streams, count: int
) -> None:
    async def store() -> tuple[list[float], list[float], list[int]]:
        paused: list[float] = []
        sent = events(streams, count)
        async with made_after(streams, NOT_TAKEN_PAUSES + 1, paused) as (publishing, _, pause):

            async def send() -> None:
                await (publishing.many(sent) if count > 1 else publishing.one(sent[0]))

            with pytest.raises(NotTakenError):
                await send()
            first = list(paused)
            with pytest.raises(NotTakenError):
                await send()
            then = paused[len(first) :]
            await pause(0)  # in which the stream is made
            stored = [await publishing.one(it) for it in sent]
        return first, then, [it.sequence for it in stored]

    first, then, stored = streams.loop.run(store(), 60)
    assert len(first) == NOT_TAKEN_PAUSES
    assert sum(first) == pytest.approx(1.0, rel=0.1)
    assert then == []
    assert stored == list(range(1, count + 1))


def test_a_batch_whose_beginning_nobody_took_is_not_stored_and_can_be_sent_one_by_one(
    streams: Streams,
) -> None:
    async def store() -> tuple[object, int]:
        paused: list[float] = []
        sent = events(streams, 3)
        async with made_after(streams, 1, paused) as (publishing, broker, pause):
            await pause(0)
            real = broker.publish_all

            async def all_but_one(messages: Iterable[bytes]) -> None:
                await real(list(messages)[1:])

            broker.publish_all = all_but_one  # type: ignore[method-assign]
            batch = await publishing.many(sent)
            return batch, (await publishing.one(sent[0])).sequence

    assert streams.loop.run(store(), 60) == (None, 1)
