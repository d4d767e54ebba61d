"""Streams whose log begins anew while they are written: what is sent is of one log or the other."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_REASON_EPOCH_CHANGED,
    POSITION_EARLIEST,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
    SubscribeResponse,
)
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogUnavailableError
from gateway.server.errors import GatewayError
from gateway.server.services.stored_events import StoredEvents
from gateway.server.services.subscribe import SubscribeStream
from tests.feed.anew import FIRST, SECOND, AnewStage
from tests.harness.calls import HeldOutflow, HeldWire, call_of
from tests.harness.events import new_event
from tests.harness.loop import LoopThread


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[AnewStage]:
    stage = AnewStage(loop, tmp_path / "index.db")
    yield stage
    stage.close()


class Reader:
    """Reads a stream; it can be kept from taking a response, or from having one made."""

    def __init__(self, stage: AnewStage, **request: object) -> None:
        self._stage = stage
        self._request = SubscribeRequest(position=POSITION_EARLIEST, **request)  # type: ignore[arg-type]
        self.got: list[SubscribeResponse] = []
        self.takes = asyncio.Event()
        self.outflow = HeldOutflow()

    async def read(self) -> None:
        async def write(response: bytes) -> None:
            self.got.append(SubscribeResponse.FromString(response))
            await self.takes.wait()

        call = call_of(self._request, HeldWire(write))
        call.outflow = self.outflow
        await SubscribeStream(self._stage.feed, 60.0, random.Random(1)).subscribe(call)

    async def until(self, responses: int = 0, asked: int = 0) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < responses or self.outflow.asked < asked:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    @property
    def cursors(self) -> list[Cursor]:
        return [Cursor.parse(it.cursor) for it in self.got]


def test_a_batch_that_is_encoded_late_has_the_cursor_of_its_own_log(stage: AnewStage) -> None:
    async def follow() -> Reader:
        reader = Reader(stage)
        reader.takes.set()
        await stage.copy.take(1, [new_event(conference_id="c" * 30_000) for _ in range(3)])
        reading = asyncio.create_task(reader.read())
        await reader.until(asked=1)
        await stage.copy.begin_anew(SECOND, 0)
        reader.outflow.lets.set()
        with pytest.raises(GatewayError, match="EPOCH_CHANGED"):
            await asyncio.wait_for(reading, 20)
        return reader

    reader = stage.loop.run(follow(), 60)

    assert [len(it.events) for it in reader.got] == [0, 3]
    assert reader.cursors == [Cursor(FIRST, 0), Cursor(FIRST, 3)]


def test_signed_bytes_are_not_looked_for_in_another_log(stage: AnewStage) -> None:
    raw = b"r" * 400_000

    async def follow() -> Reader:
        reader = Reader(stage, include_raw=True)
        reader.outflow.lets.set()
        await stage.copy.take(1, [new_event(raw=raw) for _ in range(6)])
        reading = asyncio.create_task(reader.read())
        await reader.until(responses=1)
        reader.takes.set()
        reader.takes = asyncio.Event()
        # Two of six fit a response.
        await reader.until(responses=2)
        await stage.copy.begin_anew(SECOND, 0)
        await stage.copy.take(1, [new_event(raw=b"other" + raw) for _ in range(6)])
        reader.takes.set()
        with pytest.raises(LogUnavailableError, match="begun anew"):
            await reading
        return reader

    reader = stage.loop.run(follow(), 60)

    assert [it.epoch for it in reader.cursors] == [FIRST] * len(reader.got)
    assert {it.raw_json for response in reader.got for it in response.events} == {raw}


def test_who_skips_losses_gets_a_gap_and_then_all_of_the_other_log(stage: AnewStage) -> None:
    async def follow() -> Reader:
        reader = Reader(stage, on_gap=GAP_POLICY_CONTINUE, stop_when_caught_up=True)
        reader.outflow.lets.set()
        await stage.copy.take(1, [new_event(id_="one")])
        reading = asyncio.create_task(reader.read())
        await reader.until(responses=1)
        await stage.copy.begin_anew(SECOND, 40)
        await stage.copy.take(41, [new_event(id_="two"), new_event(id_="three")])
        reader.takes.set()
        await asyncio.wait_for(reading, 20)
        return reader

    reader = stage.loop.run(follow(), 60)

    opening, gap, *rest = reader.got
    assert Cursor.parse(opening.cursor) == Cursor(FIRST, 0)
    assert gap.gap.reason == GAP_REASON_EPOCH_CHANGED
    assert (gap.gap.from_cursor, gap.gap.to_cursor) == (opening.cursor, gap.cursor)
    assert Cursor.parse(gap.cursor) == Cursor(SECOND, 40)
    assert [it.id for response in rest for it in response.events] == ["two", "three"]
    assert Cursor.parse(rest[-1].cursor) == Cursor(SECOND, 42)


def test_who_must_not_lose_anything_is_told_so(stage: AnewStage) -> None:
    async def follow() -> GatewayError:
        reader = Reader(stage)
        reader.outflow.lets.set()
        reading = asyncio.create_task(reader.read())
        await reader.until(responses=1)
        await stage.copy.begin_anew(SECOND, 7)
        reader.takes.set()
        with pytest.raises(GatewayError) as error:
            await asyncio.wait_for(reading, 20)
        return error.value

    error = stage.loop.run(follow(), 60)

    assert (error.code.name, error.reason) == ("OUT_OF_RANGE", "EPOCH_CHANGED")
    assert error.metadata["oldest_cursor"] == str(Cursor(SECOND, 7))


def test_a_page_goes_on_in_its_own_log_only(stage: AnewStage) -> None:
    stored = StoredEvents(stage.copy)

    async def page(request: ListEventsRequest) -> ListEventsResponse:
        return ListEventsResponse.FromString(await stored.list_events(call_of(request)))

    async def list_over_two_logs() -> GatewayError:
        await stage.copy.take(1, [new_event() for _ in range(3)])
        first = await page(ListEventsRequest(page_size=1))
        await stage.copy.begin_anew(SECOND, 0)
        await stage.copy.take(1, [new_event() for _ in range(3)])
        with pytest.raises(GatewayError) as error:
            await page(ListEventsRequest(page_size=1, page_token=first.next_page_token))
        return error.value

    error = stage.loop.run(list_over_two_logs(), 60)

    assert [it.field for it in error.violations] == ["page_token"]
    assert "not here any more" in error.violations[0].description
