"""Retries: when the next request is sent, and when none is any more.

In virtual time, so that each moment is exact.
"""

from itertools import pairwise

import pytest

from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpResponse
from tests.upstream.scripted import (
    LOST,
    MADE_ID,
    NEVER,
    NEVER_SENT,
    OK,
    ONCE,
    OWN_ID,
    READ,
    STATE,
    After,
    What,
    call,
    status,
)

# Failures that pass


@pytest.mark.parametrize("ending", [LOST, NEVER_SENT, *map(status, (408, 429, 500, 502, 503, 504))])
@pytest.mark.parametrize("what", [OWN_ID, MADE_ID, STATE])
def test_what_is_harmless_is_sent_again(what: What, ending: HttpResponse | Exception) -> None:
    it = call(what, ending, OK)

    assert it.result.receipt.result == "ok"
    first, second = it.script.requests
    assert first[:4] == second[:4]  # method, address, headers, and the body with its command id


@pytest.mark.parametrize("ending", [LOST, *map(status, (408, 500, 502, 503, 504))])
def test_what_would_be_heard_twice_is_sent_once(ending: HttpResponse | Exception) -> None:
    it = call(ONCE, ending)

    assert len(it.sent_at) == 1
    assert it.summary == ("UNKNOWN", "unknown")


@pytest.mark.parametrize("ending", [NEVER_SENT, status(429)])
def test_what_provably_did_not_run_is_sent_again_even_if_heard(
    ending: HttpResponse | Exception,
) -> None:
    assert call(ONCE, ending, ending, OK).result.receipt.result == "ok"


@pytest.mark.parametrize("number", [400, 401, 403, 404, 409, 412, 422])
def test_a_response_that_would_be_the_same_is_not_asked_for_again(number: int) -> None:
    assert len(call(OWN_ID, status(number)).sent_at) == 1


def test_attempts_are_limited_and_counted() -> None:
    it = call(READ, status(503))

    assert len(it.sent_at) == 4
    assert it.error.metadata["attempts"] == "4"
    assert it.error.reason is Reason.UPSTREAM_UNAVAILABLE


def test_waits_are_drawn_below_a_limit_that_doubles() -> None:
    drawn = []
    for seed in range(50):
        sent = call(READ, status(503), seed=seed).sent_at
        drawn.append([after - before for before, after in pairwise(sent)])

    assert all(
        0 <= wait <= 0.05 * 2**number + 1e-9 for waits in drawn for number, wait in enumerate(waits)
    )
    assert len({tuple(waits) for waits in drawn}) == 50  # full jitter: not all alike
    assert RetryPolicy().backoff_limit_s(20) == 2.0


def test_a_failed_attempt_is_replaced_while_the_other_is_still_awaited() -> None:
    # The second ends at once, a third takes its place: never more than two.
    it = call(READ, NEVER, status(503), After(0.5, OK))

    assert it.sent_at[:2] == [0, 5]
    assert 5 <= it.sent_at[2] <= 5.1
    assert it.script.most_in_flight == 2
    assert not isinstance(it.result, UpstreamError)


@pytest.mark.slow
def test_the_budget_keeps_an_outage_from_being_multiplied() -> None:
    budget = RetryBudget(per_call=0.1, balance_max=10)
    calls = 1_000
    sent = sum(len(call(READ, status(503), budget=budget).sent_at) for _ in range(calls))

    assert sent - calls <= 10 + calls * 0.1
    # It fills up again while things go well.
    for _ in range(100):
        call(STATE, OK, budget=budget)
    assert len(call(STATE, status(503), OK, budget=budget).sent_at) == 2


def test_what_is_sent_beside_leaves_half_of_the_budget() -> None:
    budget = RetryBudget(per_call=0.1, balance_max=10)

    assert [budget.take_for_hedge() for _ in range(6)] == [True] * 5 + [False]
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]
    # What calls add goes to retries until half is there again.
    for _ in range(59):
        budget.call_made()
    assert not budget.take_for_hedge()
    budget.call_made()
    budget.call_made()
    assert budget.take_for_hedge()


# The provider's wish


@pytest.mark.parametrize("number", [429, 503])
def test_nothing_is_sent_before_the_provider_wants_it(number: int) -> None:
    it = call(OWN_ID, status(number, retry_after="2"), status(429, x_ratelimit_reset="1"), OK)

    assert it.sent_at[1] >= 2
    assert it.sent_at[2] >= it.sent_at[1] + 1
    assert it.result.receipt.result == "ok"


def test_neither_is_a_request_beside_another() -> None:
    it = call(OWN_ID, After(9, OK), status(429, retry_after="3"), OK, hedge_after=0.5)

    assert it.sent_at[:2] == [0, 0.5]
    assert it.sent_at[2] >= 3.5


@pytest.mark.parametrize("number", [429, 503])
def test_a_wait_beyond_the_deadline_is_left_to_the_caller_who_is_told(number: int) -> None:
    it = call(OWN_ID, status(number, retry_after="7200"))

    assert it.error.retry_after == 7_200
    assert it.code in ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
    assert (len(it.sent_at), it.took) == (1, 0)


# Commands that the provider remembers for a minute


def test_no_retry_comes_after_the_provider_has_forgotten_the_command() -> None:
    it = call(OWN_ID, After(30, status(503)), timeout=1_000)

    # Beside each other until one is left: none begins later than 55 s after the first.
    assert it.sent_at[:2] == [0, 10]
    assert max(it.sent_at) <= 55
    # By now the caller's own retry would not be recognised either.
    assert it.summary == ("UNKNOWN", "unknown")


def test_reading_may_go_on_for_as_long_as_the_caller_likes() -> None:
    it = call(READ, After(59, status(503)), After(59, status(503)), After(59, OK), timeout=1_000)

    assert it.sent_at[2] > 55
    assert not isinstance(it.result, UpstreamError)
