"""What is recorded of attempts: which, how they ended, when they began and how long they took."""

import asyncio

import pytest

from gateway.deadline import Deadline
from gateway.records.attempts import ABANDONED, AttemptEnded
from gateway.upstream.sending.limit import LimitedTransport
from tests.harness.virtual_time import run_in_virtual_time, virtual_now
from tests.upstream.scripted import (
    NEVER,
    OWN_ID,
    READ,
    After,
    Call,
    Script,
    call,
    client_of,
    status,
)


def recorded(ended: Call) -> list[tuple[int, str, float, float]]:
    """Return what was recorded of a call's attempts, with times from the start of the first."""
    began = min(it.began for it in ended.observed)
    return [
        (it.number, it.result, round(it.began - began, 5), round(it.seconds, 5))
        for it in ended.observed
    ]


def test_each_attempt_has_its_own_times() -> None:
    ended = call(OWN_ID, After(1.5, status(503)), After(0.5))

    second = ended.sent_at[1]
    assert second > 1.5
    assert recorded(ended) == [(1, "503", 0.0, 1.5), (2, "200", second, 0.5)]
    assert {it.operation for it in ended.observed} == {"EndConference"}


def test_an_attempt_that_is_given_up_has_taken_until_then() -> None:
    ended = call(READ, NEVER, After(0.25), hedge_after=2)

    assert recorded(ended) == [(2, "200", 2.0, 0.25), (1, ABANDONED, 0.0, 2.25)]


def test_an_attempt_begins_when_it_leaves_and_not_when_it_has_to_wait_for_its_turn() -> None:
    observed: list[AttemptEnded] = []

    async def run() -> float:
        began = virtual_now()
        limited = LimitedTransport(Script(After(3.0), After(1.0)), 1, now=virtual_now)
        client = client_of(limited, observe=observed.append, hedge_after=60)
        operation, request = READ
        await asyncio.gather(
            *(
                client.call(operation, request, Deadline.after(10, now=virtual_now))
                for _ in range(2)
            )
        )
        await client.close()
        return began

    began = run_in_virtual_time(run())

    assert [(round(it.began - began, 5), round(it.seconds, 5)) for it in observed] == [
        (0.0, 3.0),
        (3.0, 1.0),
    ]


def test_an_attempt_that_never_left_began_when_it_was_to_leave() -> None:
    observed: list[AttemptEnded] = []

    async def run() -> float:
        began = virtual_now()
        limited = LimitedTransport(Script(NEVER), 1, waiting_max=0, now=virtual_now)
        client = client_of(limited, observe=observed.append, hedge_after=60)
        operation, request = READ
        first = asyncio.create_task(
            client.call(operation, request, Deadline.after(10, now=virtual_now))
        )
        await asyncio.sleep(4)
        with pytest.raises(Exception, match="in flight"):
            await client.call(operation, request, Deadline.after(10, now=virtual_now))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await client.close()
        return began

    began = run_in_virtual_time(run())

    assert [(it.result, round(it.began - began, 5), it.seconds) for it in observed] == [
        ("overloaded", 4.0, 0.0),
        (ABANDONED, 0.0, 4.0),
    ]
