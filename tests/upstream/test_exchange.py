"""The requests of one call: what is sent again, when, beside what, and what never.

In virtual time, so that each moment is exact.
"""

import asyncio
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.app import COMMAND_SERVICES
from gateway.deadline import Deadline
from gateway.rpc.upstream_statuses import CODES
from gateway.upstream.binding import Binding, compile_services
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.operation import Safety
from gateway.upstream.sending.attempt import AttemptEnded, AttemptObserver
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    OversizeError,
    UnansweredError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

BINDINGS = {binding.name: binding for binding in compile_services(COMMAND_SERVICES)}
OK = HttpResponse(200, {}, b'{"data": {"result": "ok"}}')

What = tuple[Binding, Any]

READ: What = (BINDINGS["GetQueue"], q.GetQueueRequest(queue_name="q"))
OWN_ID: What = (
    BINDINGS["EndConference"],
    c.EndConferenceRequest(conference_id="c", command_id="mine"),
)
MADE_ID: What = (BINDINGS["EndConference"], c.EndConferenceRequest(conference_id="c"))
STATE: What = (BINDINGS["MuteParticipants"], c.MuteParticipantsRequest(conference_id="c"))
ONCE: What = (BINDINGS["PlayAudio"], c.PlayAudioRequest(conference_id="c", media_name="m"))
DELETE: What = (BINDINGS["DeleteQueue"], q.DeleteQueueRequest(queue_name="q"))

LOST = UnansweredError("the connection closed")
NEVER_SENT = NotSentError("refused")


@dataclass(frozen=True)
class After:
    """How a request ends, and after how many seconds; never is 1e9."""

    seconds: float
    ending: HttpResponse | Exception = OK


NEVER = After(1e9)

Step = HttpResponse | Exception | After


def status(number: int, **headers: str) -> HttpResponse:
    return HttpResponse(number, {name.replace("_", "-"): it for name, it in headers.items()}, b"{}")


class Script:
    """A transport that ends requests as written, and notes when each was sent."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[HttpRequest] = []
        self.sent_at: list[float] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        step = self.steps[min(len(self.requests), len(self.steps) - 1)]
        self.requests.append(request)
        self.sent_at.append(virtual_now())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            after = step if isinstance(step, After) else After(0, step)
            await asyncio.sleep(min(after.seconds, timeout))
            if after.seconds > timeout:
                raise UnansweredError("no response in time")
            if isinstance(after.ending, Exception):
                raise after.ending
            return after.ending
        finally:
            self.in_flight -= 1

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Call:
    """A call that has ended: with what, when, and what was sent for it. Times are seconds."""

    result: Any
    took: float
    sent_at: list[float]
    script: Script
    observed: list[AttemptEnded]

    @property
    def error(self) -> UpstreamError:
        assert isinstance(self.result, UpstreamError), self.result
        return self.result

    @property
    def summary(self) -> tuple[str, str]:
        return self.code, self.error.metadata.get("outcome", "")

    @property
    def code(self) -> str:
        """The name of the status that a caller of the RPC gets."""
        return CODES[self.error.reason].name


def client_of(
    transport: LimitedTransport,
    budget: RetryBudget | None = None,
    observe: AttemptObserver = lambda ended: None,
    hedge_after: float | None = None,
    seed: int = 1,
) -> TelnyxClient:
    sending = Sending(
        transport,
        RetryPolicy(),
        budget or RetryBudget(),
        random.Random(seed),
        observe,
        hedge_after,
        now=virtual_now,
    )
    return TelnyxClient(sending, "http://provider/v2", "KEY", "test")


def call(
    what: What,
    *steps: Step,
    timeout: float | None = 10,
    budget: RetryBudget | None = None,
    hedge_after: float | None = None,
    seed: int = 1,
    in_flight_max: int = 10,
) -> Call:
    async def run() -> Call:
        script = Script(*steps)
        observed: list[AttemptEnded] = []
        client = client_of(
            LimitedTransport(script, in_flight_max, now=virtual_now),
            budget,
            observed.append,
            hedge_after,
            seed,
        )
        began = virtual_now()
        binding, request = what
        result: Any
        try:
            result = await client.call(binding, request, Deadline.after(timeout, now=virtual_now))
        except UpstreamError as error:
            result = error
        took = round(virtual_now() - began, 5)
        await client.close()
        return Call(result, took, [round(it - began, 5) for it in script.sent_at], script, observed)

    return run_in_virtual_time(run())


# Silence


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
    assert [it.outcome for it in first_wins.observed] == ["200", "given_up"]


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
    assert "calling again would run it again" in it.error.message


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

PAGE = HttpResponse(200, {"content-type": "text/html"}, b"<html>it works</html>")
ERROR_IN_SUCCESS = HttpResponse(200, {}, b'{"data": {}, "errors": [{"code": "10015"}]}')


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


# Who may call again


def test_a_command_whose_id_the_caller_knows_may_be_called_again() -> None:
    for what in (OWN_ID, STATE, READ):
        assert call(what, LOST).code == "UNAVAILABLE"


def test_a_command_whose_id_was_made_here_may_not() -> None:
    it = call(MADE_ID, LOST)

    # The caller's next call would get another id, and the provider would run it again.
    assert it.summary == ("UNKNOWN", "unknown")
    command_id = it.error.metadata["command_id"]
    assert command_id.encode() in (it.script.requests[0].body or b"")
    assert command_id in it.error.message


def test_an_early_attempt_that_may_have_run_is_not_forgotten() -> None:
    for last in (NEVER_SENT, status(429, retry_after="99")):
        assert call(MADE_ID, LOST, last).summary == ("UNKNOWN", "unknown")
    # Nothing ran in any of these.
    assert call(MADE_ID, NEVER_SENT).summary == ("UNAVAILABLE", "")


def test_one_that_is_given_up_may_have_run() -> None:
    it = call(OWN_ID, NEVER, status(422))

    assert it.summary == ("INVALID_ARGUMENT", "unknown")


def test_a_deletion_that_finds_nothing_after_a_lost_response_has_succeeded() -> None:
    assert call(DELETE, LOST, status(404)).result.HasField("receipt")
    # Or after one that is still awaited: the second found what the first had done.
    assert call(DELETE, NEVER, status(404)).result.HasField("receipt")
    # But not if nothing was there in the first place.
    assert call(DELETE, status(404)).code == "NOT_FOUND"
    assert call(DELETE, NEVER_SENT, status(404)).code == "NOT_FOUND"


def test_only_what_is_idempotent_is_marked_so() -> None:
    for binding in BINDINGS.values():
        if binding.has_command_id:
            assert binding.safety is Safety.REPEATABLE, binding.name


# Deadlines


def test_too_little_time_sends_nothing() -> None:
    it = call(OWN_ID, OK, timeout=0.004)

    assert it.sent_at == []
    assert it.summary == ("DEADLINE_EXCEEDED", "not_sent")


def test_the_deadlines_error_says_what_to_do() -> None:
    own, made, state = (call(what, NEVER, timeout=2).error for what in (OWN_ID, MADE_ID, STATE))

    assert own.metadata["attempts"] == "2"
    assert "call again within 53 s with command_id mine" in own.message
    assert made.metadata["command_id"] in made.message
    assert "calling again can do no harm" in state.message


def test_what_never_left_the_queue_was_not_sent() -> None:
    async def run() -> UpstreamError:
        limited = LimitedTransport(Script(NEVER), 1, now=virtual_now)
        client = client_of(limited)
        busy = asyncio.create_task(client.call(*ONCE, Deadline.after(30, now=virtual_now)))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamError) as caught:
            await client.call(*OWN_ID, Deadline.after(3, now=virtual_now))
        busy.cancel()
        await client.close()
        return caught.value

    error = run_in_virtual_time(run())
    assert error.metadata["outcome"] == "not_sent"
    assert "too busy" in error.message


def test_a_fault_of_the_transport_does_not_hide_that_a_command_may_have_run() -> None:
    it = call(ONCE, RuntimeError("a bug"))

    assert it.summary == ("UNKNOWN", "unknown")


# All of it at once

steps = st.builds(
    After,
    st.sampled_from([0.0, 0.1, 3.0, 6.0, 30.0, 1e9]),
    st.sampled_from(
        [
            OK,
            LOST,
            NEVER_SENT,
            *map(status, (404, 408, 422, 429, 500, 503)),
            status(429, retry_after="2"),
            status(503, retry_after="4"),
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([READ, OWN_ID, MADE_ID, STATE, ONCE]),
    st.lists(steps, min_size=1, max_size=5),
    st.sampled_from([0.5, 2.0, 10.0, 100.0]),
    st.sampled_from([None, 0.2, 4.0]),
    st.integers(0, 1_000),
)
def test_whatever_the_provider_does_the_rules_hold(
    what: What, endings: list[After], timeout: float, hedge_after: float | None, seed: int
) -> None:
    it = call(what, *endings, timeout=timeout, hedge_after=hedge_after, seed=seed)

    assert it.took <= timeout
    assert 1 <= len(it.sent_at) <= 4
    assert it.script.most_in_flight <= 2
    ran = [e for e in endings[: len(it.sent_at)] if may_run(e)]
    if what is ONCE:
        assert len(ran) <= 1, "it would have been heard twice"
    if isinstance(it.result, UpstreamError):
        if it.code == "UNAVAILABLE":
            assert not (ran and what in (MADE_ID, ONCE)), "a retry would have run it again"
        if it.error.metadata.get("outcome") == "not_sent":
            assert not ran
    for sent, ending in zip(it.sent_at, endings, strict=False):
        ending_at = sent + ending.seconds
        wait = float(wish.headers.get("retry-after", "0")) if (wish := response(ending)) else 0.0
        for later in it.sent_at:
            assert not ending_at < later < ending_at + wait, "sent before the provider wanted it"


def may_run(after: After) -> bool:
    return not isinstance(after.ending, NotSentError) and (
        isinstance(after.ending, Exception)
        or after.ending.status in (200, 408, 500, 503)
        or after.seconds > 100
    )


def response(after: After) -> HttpResponse | None:
    return after.ending if isinstance(after.ending, HttpResponse) else None
