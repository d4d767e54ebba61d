"""Silence: what is sent a second time beside a request, and which response counts.

In virtual time, so that each moment is exact.
"""

import asyncio

import pytest

from gateway.deadline import Deadline
from gateway.upstream.errors import UpstreamError
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget
from gateway.upstream.transport import (
    HttpResponse,
    OverloadedError,
    OversizeError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now
from tests.upstream.scripted import (
    DELETE,
    ERROR_IN_SUCCESS,
    LOST,
    MADE_ID,
    NEVER,
    OK,
    ONCE,
    OWN_ID,
    PAGE,
    READ,
    STATE,
    After,
    Script,
    What,
    call,
    client_of,
    status,
)


@pytest.mark.parametrize("what", [READ, OWN_ID, MADE_ID, STATE, ONCE])
def test_a_slow_response_is_waited_for_to_the_end(what: What) -> None:
    it = call(what, After(6))

    assert not isinstance(it.result, UpstreamError)
    assert it.took == 6


@pytest.mark.parametrize("what", [READ, OWN_ID, MADE_ID, STATE])
def test_a_silent_request_is_sent_again_beside_the_first(what: What) -> None:
    it = call(what, NEVER, After(0.1))

    assert not isinstance(it.result, UpstreamError)
    assert it.sent_at == [0, 5]  # half of the time that there is
    assert it.took == pytest.approx(5.1)
    first, second = it.script.requests
    assert first[:4] == second[:4]  # with the same command id


def test_the_first_response_wins_whichever_request_it_is_for() -> None:
    first_wins = call(OWN_ID, After(6, OK), After(3, status(500)))
    second_wins = call(OWN_ID, After(8, status(500)), After(1, OK))

    assert first_wins.took == 6
    assert second_wins.took == 6
    assert [it.result for it in first_wins.observed] == ["200", "abandoned"]


@pytest.mark.parametrize(
    ("timeout", "second_at"), [(1.5, [0, 1]), (4, [0, 2]), (10, [0, 5]), (60, [0, 10])]
)
def test_patience_is_half_of_the_time_within_bounds(timeout: float, second_at: list[float]) -> None:
    assert call(READ, NEVER, timeout=timeout).sent_at == second_at


def test_no_more_than_two_are_in_flight_however_long_the_silence() -> None:
    it = call(READ, NEVER, timeout=59)

    assert it.sent_at == [0, 10]
    assert it.script.most_in_flight == 2
    assert it.took == pytest.approx(59, abs=0.01)
    assert it.summary == ("DEADLINE_EXCEEDED", "")


def test_an_attempt_ends_after_a_minute_even_without_a_deadline() -> None:
    it = call(READ, NEVER, NEVER, After(1, OK), timeout=None)

    assert it.sent_at[:2] == [0, 10]
    assert 60 <= it.sent_at[2] < 60.1
    assert not isinstance(it.result, UpstreamError)


def test_what_would_be_heard_twice_is_not_sent_beside_itself() -> None:
    it = call(ONCE, NEVER, hedge_after=0.1)

    assert it.sent_at == [0]
    assert it.summary == ("DEADLINE_EXCEEDED", "unknown")
    assert "a retry would run it again" in it.error.message


def test_hedging_is_the_same_with_less_patience() -> None:
    for what in (READ, OWN_ID, STATE):
        it = call(what, After(3), After(0.1), hedge_after=0.2)
        assert it.sent_at == [0, 0.2]
        assert it.took == pytest.approx(0.3)


def test_a_request_that_waits_for_its_turn_is_not_sent_beside_itself() -> None:
    async def run() -> None:
        script = Script(After(20), After(1))
        limited = LimitedTransport(script, 1, now=virtual_now)
        client = client_of(limited)
        deadline = Deadline.after(50, now=virtual_now)
        busy = asyncio.create_task(client.call(*ONCE, deadline))
        await asyncio.sleep(0)

        await client.call(*READ, deadline)

        assert len(script.requests) == 2
        assert limited.waiting == 0
        await busy

    run_in_virtual_time(run())


def test_slow_responses_leave_half_of_the_budget_to_retries() -> None:
    budget = RetryBudget(per_call=0.1, balance_max=10)
    sent = sum(len(call(READ, After(6), budget=budget).sent_at) for _ in range(100))

    assert sent <= 100 + 5 + 100 * 0.1
    # A lost response is still sent again.
    assert len(call(READ, LOST, OK, budget=budget).sent_at) == 2


# Responses that are not the last word


@pytest.mark.parametrize(
    "second",
    [
        PAGE,
        PAGE._replace(status=403),
        PAGE._replace(status=404),
        HttpResponse(404, {}, b"404 page not found"),
        ERROR_IN_SUCCESS,
        *map(status, (302, 409, 501, 525)),
        OversizeError("too large"),
        OverloadedError("too many"),
    ],
)
@pytest.mark.parametrize("what", [READ, OWN_ID, STATE])
def test_a_good_first_response_is_not_lost_to_whatever_came_before_it(
    what: What, second: HttpResponse | Exception
) -> None:
    it = call(what, After(6, OK), After(0.1, second), NEVER)

    assert not isinstance(it.result, UpstreamError)
    assert it.took == 6


@pytest.mark.parametrize("number", [200, 400, 403, 404])
def test_a_page_is_no_response_and_asked_for_again_where_that_is_harmless(number: int) -> None:
    page = PAGE._replace(status=number)
    for what in (READ, OWN_ID, STATE, DELETE):
        assert len(call(what, page, OK).sent_at) == 2
    assert call(ONCE, page).summary == ("UNKNOWN", "unknown")
    assert call(OWN_ID, page).summary == ("UNAVAILABLE", "unknown")


@pytest.mark.parametrize("number", [404, 409, 422])
@pytest.mark.parametrize("what", [OWN_ID, MADE_ID, STATE, DELETE])
def test_a_refusal_after_an_error_in_a_success_does_not_prove_that_nothing_happened(
    what: What, number: int
) -> None:
    it = call(what, After(7, ERROR_IN_SUCCESS), After(3, status(number)))

    assert len(it.sent_at) == 2
    # What is deleted is gone, whichever request did it.
    if what is DELETE and number == 404:
        assert not isinstance(it.result, UpstreamError)
    else:
        assert it.error.metadata["outcome"] == "unknown"


def test_nothing_that_may_have_run_is_sent_again_once_its_id_is_forgotten_or_would_be() -> None:
    limited = HttpResponse(429, {"retry-after": "50"}, b"{}")
    for what in (OWN_ID, MADE_ID, STATE, DELETE):
        it = call(what, After(20, ERROR_IN_SUCCESS), After(15, limited), OK, timeout=100)

        assert all(at <= 55 for at in it.sent_at)


def test_a_page_that_says_not_found_does_not_prove_a_deletion() -> None:
    it = call(DELETE, LOST, PAGE._replace(status=404))

    assert it.summary == ("UNAVAILABLE", "unknown")
