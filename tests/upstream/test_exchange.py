"""What the caller of a call with several requests is told, and rules that hold for all calls.

In virtual time, so that each moment is exact.
"""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.deadline import Deadline
from gateway.schema.rest import Safety
from gateway.upstream.errors import UpstreamError
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryPolicy
from gateway.upstream.transport import (
    HttpResponse,
    NotSentError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now
from tests.upstream.scripted import (
    DELETE,
    LOST,
    MADE_ID,
    NEVER,
    NEVER_SENT,
    OK,
    ONCE,
    OPERATIONS,
    OWN_ID,
    READ,
    STATE,
    After,
    Script,
    What,
    call,
    client_of,
    status,
)

# Who may retry


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
    for operation in OPERATIONS.values():
        if operation.binding.has_command_id:
            assert operation.safety is Safety.IDEMPOTENT, operation.name


def test_how_long_a_command_is_remembered_is_said_by_the_clients_own_policy() -> None:
    policy = RetryPolicy(command_memory_s=30, command_memory_margin_s=4)
    short = RetryPolicy(command_memory_s=5, command_memory_margin_s=4)

    asked, late = (call(OWN_ID, NEVER, timeout=3, policy=it) for it in (policy, short))

    assert "retry within 23 s with command_id mine" in asked.error.message
    assert (len(asked.sent_at), len(late.sent_at)) == (2, 1)
    assert "a retry would run it again" in late.error.message


# Deadlines


def test_too_little_time_sends_nothing() -> None:
    it = call(OWN_ID, OK, timeout=0.004)

    assert it.sent_at == []
    assert it.summary == ("DEADLINE_EXCEEDED", "not_sent")


def test_the_deadlines_error_says_what_to_do() -> None:
    own, made, state = (call(what, NEVER, timeout=2).error for what in (OWN_ID, MADE_ID, STATE))

    assert own.metadata["attempts"] == "2"
    assert "retry within 53 s with command_id mine" in own.message
    assert made.metadata["command_id"] in made.message
    assert "a retry is harmless" in state.message


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
    assert "were in flight" in error.message


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
