"""The truth table: what each way for a request to end means for each kind of operation.

Written by hand and compared with what the client does: `retry` where the same request is sent
again, then the status and the `outcome` that a caller is told when nothing helps any more.
"""

import asyncio
from itertools import product

import pytest
from grpc import StatusCode

from gateway.deadline import Deadline
from gateway.schema.lenient_json import VALUES_MAX
from gateway.schema.rest import Safety
from gateway.server.upstream_statuses import CODES
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.ends import (
    REASONS,
    RULES,
    End,
    caller_may_retry,
    end_of_error,
    end_of_status,
    was_deleted_before,
)
from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.failures.reports import cut_off
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget
from gateway.upstream.transport import (
    HttpResponse,
    NoRoomError,
    NotSentError,
    OverloadedError,
    OversizeError,
    TransportError,
    UnansweredError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now
from tests.upstream.scripted import (
    DELETE,
    ERROR_IN_SUCCESS,
    LOST,
    MADE_ID,
    NEVER,
    NEVER_SENT,
    OK,
    ONCE,
    OWN_ID,
    PAGE,
    READ,
    STATE,
    Call,
    Script,
    Step,
    What,
    call,
    client_of,
    status,
)

# A command is harmless to retry if it sets a state, or has an id of its caller's.
KINDS: dict[str, What] = {
    "read": READ,
    "state": STATE,
    "own id": OWN_ID,
    "made id": MADE_ID,
    "once": ONCE,
}

# Of too many values to be decoded.
UNDECODABLE = HttpResponse(200, {}, b'{"data": {}, "more": [' + b"0," * (VALUES_MAX + 1) + b"0]}")

WAYS: dict[str, tuple[End, Step]] = {
    "no connection": (End.NOT_SENT, NotSentError("refused")),
    "no place": (End.OVERLOADED, OverloadedError("1,000 wait")),
    "no response": (End.NO_RESPONSE, UnansweredError("the connection closed")),
    "no room for it": (End.NO_RESPONSE, NoRoomError("too much is held")),
    "a proxy's page": (End.NO_RESPONSE, PAGE),
    "a proxy's refusal": (End.NO_RESPONSE, PAGE._replace(status=404)),
    "too large": (End.TOO_LARGE, OversizeError("larger than 4 MiB")),
    "error in 2xx": (End.ERROR_IN_SUCCESS, ERROR_IN_SUCCESS),
    "429": (End.RATE_LIMITED, status(429)),
    "429, wait 2 s": (End.RATE_LIMITED, status(429, retry_after="2")),
    "429, wait 60 s": (End.RATE_LIMITED, status(429, retry_after="60")),
    "408": (End.TRANSIENT, status(408)),
    "500": (End.TRANSIENT, status(500)),
    "502": (End.TRANSIENT, status(502)),
    "503": (End.TRANSIENT, status(503)),
    "503, wait 2 s": (End.TRANSIENT, status(503, retry_after="2")),
    "503, wait 60 s": (End.TRANSIENT, status(503, retry_after="60")),
    "504": (End.TRANSIENT, status(504)),
    "501": (End.SERVER_ERROR, status(501)),
    "525": (End.SERVER_ERROR, status(525)),
    "409": (End.CONFLICT, status(409)),
    "400": (End.REFUSAL, status(400)),
    "404": (End.REFUSAL, status(404)),
    "422": (End.REFUSAL, status(422)),
    "307": (End.REDIRECTION, status(307)),
    "304": (End.UNEXPECTED, status(304)),
}

ALONE = """
way               | read                     | state                      | own id                     | made id                    | once
no connection     | retry UNAVAILABLE        | retry UNAVAILABLE          | retry UNAVAILABLE          | retry UNAVAILABLE          | retry UNAVAILABLE
no place          | RESOURCE_EXHAUSTED not_sent | RESOURCE_EXHAUSTED not_sent | RESOURCE_EXHAUSTED not_sent | RESOURCE_EXHAUSTED not_sent | RESOURCE_EXHAUSTED not_sent
no response       | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
no room for it    | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
a proxy's page    | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
a proxy's refusal | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
too large         | INTERNAL                 | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown
error in 2xx      | INVALID_ARGUMENT         | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown            | UNKNOWN unknown
429               | retry RESOURCE_EXHAUSTED | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED
429, wait 2 s     | retry RESOURCE_EXHAUSTED | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED   | retry RESOURCE_EXHAUSTED
429, wait 60 s    | RESOURCE_EXHAUSTED       | RESOURCE_EXHAUSTED         | RESOURCE_EXHAUSTED         | RESOURCE_EXHAUSTED         | RESOURCE_EXHAUSTED
408               | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
500               | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
502               | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
503               | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
503, wait 2 s     | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
503, wait 60 s    | UNAVAILABLE              | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown            | UNKNOWN unknown
504               | retry UNAVAILABLE        | retry UNAVAILABLE unknown  | retry UNAVAILABLE unknown  | retry UNKNOWN unknown      | UNKNOWN unknown
501               | UNAVAILABLE              | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown            | UNKNOWN unknown
525               | UNAVAILABLE              | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown            | UNKNOWN unknown
409               | ABORTED                  | ABORTED                    | ABORTED                    | ABORTED                    | ABORTED
400               | INVALID_ARGUMENT         | INVALID_ARGUMENT           | INVALID_ARGUMENT           | INVALID_ARGUMENT           | INVALID_ARGUMENT
404               | NOT_FOUND                | NOT_FOUND                  | NOT_FOUND                  | NOT_FOUND                  | NOT_FOUND
422               | INVALID_ARGUMENT         | INVALID_ARGUMENT           | INVALID_ARGUMENT           | INVALID_ARGUMENT           | INVALID_ARGUMENT
307               | INTERNAL                 | INTERNAL                   | INTERNAL                   | INTERNAL                   | INTERNAL
304               | INTERNAL                 | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown
"""  # noqa: E501 - a table

# The same ends of a second request, after a first that may have run. What is sent once has none.
AFTER_A_LOST_ONE = """
way               | read               | state                      | own id                     | made id
no connection     | UNAVAILABLE        | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown
no place          | RESOURCE_EXHAUSTED | RESOURCE_EXHAUSTED unknown | RESOURCE_EXHAUSTED unknown | UNKNOWN unknown
no response       | UNAVAILABLE        | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown
too large         | INTERNAL           | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown
error in 2xx      | INVALID_ARGUMENT   | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown
429, wait 60 s    | RESOURCE_EXHAUSTED | RESOURCE_EXHAUSTED unknown | RESOURCE_EXHAUSTED unknown | UNKNOWN unknown
503, wait 60 s    | UNAVAILABLE        | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown
501               | UNAVAILABLE        | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown
409               | ABORTED            | ABORTED unknown            | ABORTED unknown            | ABORTED unknown
422               | INVALID_ARGUMENT   | INVALID_ARGUMENT unknown   | INVALID_ARGUMENT unknown   | INVALID_ARGUMENT unknown
307               | INTERNAL           | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown
304               | INTERNAL           | INTERNAL unknown           | INTERNAL unknown           | INTERNAL unknown
"""  # noqa: E501 - a table

# How calls end that no single request decides.
WHOLE_CALLS = """
way               | read                       | state                      | own id                     | made id                    | once
undecodable 2xx   | INTERNAL                   | INTERNAL done              | INTERNAL done              | INTERNAL done              | INTERNAL done
deadline over     | DEADLINE_EXCEEDED          | DEADLINE_EXCEEDED unknown  | DEADLINE_EXCEEDED unknown  | DEADLINE_EXCEEDED unknown  | DEADLINE_EXCEEDED unknown
deadline too near | DEADLINE_EXCEEDED not_sent | DEADLINE_EXCEEDED not_sent | DEADLINE_EXCEEDED not_sent | DEADLINE_EXCEEDED not_sent | DEADLINE_EXCEEDED not_sent
shut down         | UNAVAILABLE                | UNAVAILABLE unknown        | UNAVAILABLE unknown        | UNKNOWN unknown            | UNKNOWN unknown
shut down, unsent | UNAVAILABLE not_sent       | UNAVAILABLE not_sent       | UNAVAILABLE not_sent       | UNAVAILABLE not_sent       | UNAVAILABLE not_sent
"""  # noqa: E501 - a table

# The reasons of the ways whose status alone does not show it.
REASONS_OF_WAYS = {
    "too large": Reason.UPSTREAM_UNREADABLE_RESPONSE,
    "307": Reason.UPSTREAM_UNEXPECTED_STATUS,
    "304": Reason.UPSTREAM_UNEXPECTED_STATUS,
    "shut down, unsent": Reason.GATEWAY_SHUTTING_DOWN,
}

Cell = tuple[str, str, str]


def cells(table: str) -> list[Cell]:
    """Return a table's cells as (way, kind, expected)."""
    head, *rows = ([it.strip() for it in line.split("|")] for line in table.strip().splitlines())
    return [
        (row[0], kind, cell) for row in rows for kind, cell in zip(head[1:], row[1:], strict=True)
    ]


def told(it: Call) -> str:
    return " ".join(filter(None, it.summary))


@pytest.mark.parametrize(("way", "kind", "expected"), cells(ALONE))
def test_a_request_that_ends_so_is_retried_or_reported(way: str, kind: str, expected: str) -> None:
    step = WAYS[way][1]
    no_retries = RetryBudget(per_call=0, balance_max=0)

    again = call(KINDS[kind], step, OK)
    alone = call(KINDS[kind], step, budget=no_retries)

    retried = expected.startswith("retry ")
    assert len(again.sent_at) == 1 + retried
    assert isinstance(again.result, Exception) is not retried
    assert told(alone) == expected.removeprefix("retry ")
    assert alone.error.reason is REASONS_OF_WAYS.get(way, alone.error.reason)
    if "wait" in way and retried:
        assert again.sent_at[1] >= 2
    wait = {"429, wait 60 s": 60, "503, wait 60 s": 60}.get(way)
    may_come_back = alone.code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
    if wait is not None:
        assert alone.error.retry_after == (wait if may_come_back else None)


@pytest.mark.parametrize(("way", "kind", "expected"), cells(AFTER_A_LOST_ONE))
def test_what_may_have_run_before_is_not_forgotten(way: str, kind: str, expected: str) -> None:
    # The budget has one retry: the second request is the last.
    one_retry = RetryBudget(per_call=0, balance_max=1)

    it = call(KINDS[kind], LOST, WAYS[way][1], budget=one_retry)

    assert len(it.sent_at) == 2
    assert told(it) == expected


def test_a_deletion_that_finds_nothing_had_been_done_if_an_earlier_request_may_have_run() -> None:
    for first, number in product((LOST, NEVER_SENT), (404, 410, 409)):
        it = call(DELETE, first, status(number))

        assert isinstance(it.result, Exception) is not (first is LOST and number != 409)
        assert was_deleted_before("DELETE", number, may_have_run=first is LOST) is (
            first is LOST and number != 409
        )
        assert not was_deleted_before("POST", number, may_have_run=True)


@pytest.mark.parametrize(("way", "kind", "expected"), cells(WHOLE_CALLS))
def test_a_call_that_ends_so_is_reported(way: str, kind: str, expected: str) -> None:
    what = KINDS[kind]
    match way:
        case "undecodable 2xx":
            found = told(call(what, UNDECODABLE))
        case "deadline over":
            found = told(call(what, NEVER))
        case "deadline too near":
            found = told(call(what, OK, timeout=0.004))
        case _:
            error = error_at_shutdown(what, is_sent=way == "shut down")
            assert error.reason is REASONS_OF_WAYS.get(way, error.reason)
            outcome = error.metadata.get("outcome", "")
            found = f"{CODES[error.reason].name} {outcome}".strip()
    assert found == expected


def error_at_shutdown(what: What, *, is_sent: bool) -> UpstreamError:
    async def run() -> UpstreamError:
        client = client_of(LimitedTransport(Script(NEVER), 1, now=virtual_now))
        deadline = Deadline.after(100, now=virtual_now)
        before = asyncio.create_task(asyncio.sleep(0) if is_sent else client.call(*READ, deadline))
        await asyncio.sleep(0)
        calls: list[UpstreamCall] = []
        cut = asyncio.create_task(client.call(*what, deadline, begun=calls.append))
        await asyncio.sleep(1)
        for task in (cut, before):
            task.cancel()
        await asyncio.gather(cut, before, return_exceptions=True)
        await client.close()
        return cut_off(calls[0])

    return run_in_virtual_time(run())


# The table in the code, as far as it follows from anything.


def test_the_tables_here_have_every_end_and_every_kind() -> None:
    listed = {way for way, _, _ in cells(ALONE)}
    of_calls = {End.UNREADABLE, End.TOO_LATE, End.SHUT_DOWN}

    assert listed == set(WAYS)
    assert {end for end, _ in WAYS.values()} | {End.SUCCESS} == set(RULES) == set(End) - of_calls
    assert set(REASONS) == set(End) - {End.SUCCESS}
    assert {what[0].safety for what in KINDS.values()} == set(Safety)


@pytest.mark.parametrize(("end", "step"), WAYS.values(), ids=WAYS)
def test_each_way_is_the_end_that_it_is_listed_as(end: End, step: Step) -> None:
    if isinstance(step, TransportError):
        assert end_of_error(step) is end
    elif step not in (ERROR_IN_SUCCESS, PAGE, PAGE._replace(status=404)):
        assert isinstance(step, HttpResponse)
        assert end_of_status(step.status) is end


@pytest.mark.parametrize("end", RULES)
def test_no_rule_runs_a_command_twice(end: End) -> None:
    rule = RULES[end]

    # What may have run is sent again only if that changes nothing.
    assert not (rule.may_have_run and Safety.ONCE in rule.retried)
    # What is retried is not the last word for a request beside it.
    assert not (rule.is_final and rule.retried)


@pytest.mark.parametrize("end", REASONS)
def test_no_retry_of_a_client_runs_a_command_twice(end: End) -> None:
    # Retry policies of clients send what is UNAVAILABLE again by themselves.
    told = REASONS[end].if_harmful
    assert told is None or CODES[told] is not StatusCode.UNAVAILABLE
    assert {reason for reason, code in CODES.items() if code is StatusCode.UNAVAILABLE} == {
        Reason.UPSTREAM_UNAVAILABLE,
        Reason.GATEWAY_SHUTTING_DOWN,
    }


def test_every_status_has_an_end_and_none_but_2xx_is_a_success() -> None:
    for number in range(100, 1_000):
        assert (end_of_status(number) is End.SUCCESS) == (200 <= number < 300)
        assert RULES[end_of_status(number)].is_final == (
            200 <= number < 300 or (400 <= number < 500 and number not in (408, 409, 429))
        )


def test_who_caller_may_retry() -> None:
    for safety, made, forgotten in product(Safety, (False, True), (False, True)):
        assert caller_may_retry(
            safety, may_have_run=False, id_was_made=made, is_forgotten=forgotten
        )
        assert caller_may_retry(
            safety, may_have_run=True, id_was_made=made, is_forgotten=forgotten
        ) is (safety is not Safety.ONCE and not made and not forgotten)
