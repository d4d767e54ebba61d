"""Viewers: each is told everything once, then what has changed, and never falls behind."""

import asyncio
from typing import Any

import pytest

from conferencing.v1.event_pb2 import Event
from gateway.console.board import Board
from gateway.console.encoding import encoded
from gateway.console.viewers import VIEWERS_MAX, CrowdedError, Viewers
from tests.console.pages import decoded


def enqueue(board: Board, call: str) -> None:
    board.apply(Event(type="call.enqueued", queue_name="q", call_control_id=call))


def test_the_first_time_everything_is_told_and_then_what_has_changed() -> None:
    async def look() -> list[Any]:
        viewers, board = Viewers(), Board()
        enqueue(board, "a")
        with viewers.looking(board) as viewer:
            first = decoded(await viewer.next(1))
            enqueue(board, "b")
            viewers.tell(board.take_changes(), [encoded({"id": "e"})])
            second, third = decoded(await viewer.next(1)), await viewer.next(0)
            viewers.tell([("queue", "other")], [])
            return [first, second, third, await viewer.next(1)]

    first, second, third, fourth = asyncio.run(look())

    assert first["whole"]
    assert [it["call"] for it in first["queues"][0]["waiting"]] == ["a"]
    assert [it["call"] for it in second["queues"][0]["waiting"]] == ["a", "b"]
    assert second["events"] == [{"id": "e"}]
    assert third == {}
    assert fourth == {"gone": [["queue", "other"]]}


def test_who_does_not_look_gets_the_newest_state_and_the_number_of_events_that_it_missed() -> None:
    async def look() -> Any:
        viewers, board = Viewers(), Board()
        with viewers.looking(board) as viewer:
            await viewer.next(1)
            for number in range(1_000):
                enqueue(board, f"c{number}")
                viewers.tell(board.take_changes(), [encoded({"sequence": number})])
            return decoded(await viewer.next(1))

    told = asyncio.run(look())

    assert len(told["queues"]) == 1
    assert len(told["queues"][0]["waiting"]) == 1_000
    assert [it["sequence"] for it in told["events"]] == list(range(500, 1_000))
    assert told["skipped"] == 500


def test_what_is_gone_is_told_as_gone() -> None:
    async def look() -> Any:
        viewers, board = Viewers(), Board()
        with viewers.looking(board) as viewer:
            await viewer.next(1)
            viewers.tell([("queue", "q"), ("conference", "c")], [])
            return await viewer.next(1)

    assert asyncio.run(look()) == {"gone": [["conference", "c"], ["queue", "q"]]}


def test_only_so_many_may_look() -> None:
    viewers, board = Viewers(), Board()
    looking = [viewers.looking(board) for _ in range(VIEWERS_MAX)]
    for it in looking:
        it.__enter__()

    with pytest.raises(CrowdedError), viewers.looking(board):
        pass
    looking[0].__exit__(None, None, None)
    with viewers.looking(board):
        assert len(viewers) == VIEWERS_MAX


def test_what_changes_is_encoded_once_for_all_who_look() -> None:
    async def look() -> list[Any]:
        viewers, board = Viewers(), Board()
        with viewers.looking(board) as one, viewers.looking(board) as other:
            for it in (one, other):
                await it.next(1)
            enqueue(board, "a")
            viewers.tell(board.take_changes(), [])
            seen = [await it.next(1) for it in (one, other)]
            enqueue(board, "b")
            viewers.tell(board.take_changes(), [])
            return [*seen, await one.next(1)]

    first, second, later = asyncio.run(look())

    assert first["queues"][0] is second["queues"][0]
    assert len(decoded(later)["queues"][0]["waiting"]) == 2
