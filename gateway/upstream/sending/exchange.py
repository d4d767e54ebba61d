"""The exchange: the requests that are sent for one call, in sequence and in parallel.

One mechanism does both. A retry follows a transient failure after a backoff; a hedge is sent in
parallel to a request without a response, which is kept: the first response wins. At most two
requests are in flight, and a budget that all calls share bounds retries and hedges, so that they do
not multiply the load on a provider that is slow or down.
"""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time
from typing import NamedTuple

from gateway.aside import LARGE_BYTES, Aside
from gateway.deadline import Deadline
from gateway.records.attempts import ABANDONED, AttemptEnded
from gateway.records.observer import Observer
from gateway.schema.rest import Safety
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.ends import RULES, End
from gateway.upstream.envelope import NotAResponseError
from gateway.upstream.sending.attempt import AttemptResult
from gateway.upstream.sending.limit import LimitedTransport, SentRequest
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.sending.retry_after import retry_after
from gateway.upstream.transport import (
    HttpRequest,
    TransportError,
    UnansweredError,
)

# With less time left than this (seconds) no request is sent: its response could not be waited for.
SEND_MARGIN_S = 0.005

# Ends with a 2xx, whose headers say nothing about a retry.
_SUCCESSES = frozenset({End.SUCCESS, End.ERROR_IN_SUCCESS})

_log = logging.getLogger(__name__)


class TooLateError(Exception):
    """The deadline has passed, or is too near to send anything; the text says which."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How requests are sent: what all calls share.

    `hedge_after_s` is when a request without a response is hedged, None for the policy's own time.
    `now` is the monotonic clock and `wall` the time since 1970, both in seconds. Large responses
    are read in `aside`.
    """

    transport: LimitedTransport
    policy: RetryPolicy
    budget: RetryBudget
    random: random.Random
    observe: Observer[AttemptEnded]
    hedge_after_s: float | None = None
    now: Callable[[], float] = monotonic
    wall: Callable[[], float] = time
    aside: Aside = field(default_factory=Aside)


class _Attempt(NamedTuple):
    """A request in flight."""

    sent: SentRequest
    is_hedge: bool


class Exchange:
    """One call's requests. The call is kept up to date for whoever reports what became of it."""

    def __init__(
        self,
        sending: Sending,
        call: UpstreamCall,
        request: HttpRequest,
        deadline: Deadline,
    ) -> None:
        self._sending = sending
        self._call = call
        self._safety = call.operation.safety
        self._request = request
        self._deadline = deadline
        # By the number of the attempt.
        self._in_flight: dict[int, _Attempt] = {}
        self._last: AttemptResult | None = None
        self._began_at = sending.now()
        # After this nothing that may have run is retried: the provider would take it for a new
        # command. One without an id would, so late, undo what others have done since.
        is_read = self._safety is Safety.READ
        self._forgotten_at = math.inf if is_read else sending.policy.forgotten_at(self._began_at)
        # When the next request is to be sent; never, if none is.
        self._next_at = self._began_at
        # The earliest time at which the provider wants a retry; None if it did not say.
        self._not_before: float | None = None

    async def run(self) -> AttemptResult:
        """Return the result that decides the call. Raises TooLateError.

        What is in flight when it returns, or is cancelled, is abandoned.
        """
        self._sending.budget.call_made()
        try:
            return await self._run()
        finally:
            for number, attempt in self._in_flight.items():
                if attempt.sent.left_at is None:
                    self._call.attempts -= 1
                else:
                    self._call.may_have_run = True
                    self._observe(number, attempt, ABANDONED)
                attempt.sent.give_up()
            now = self._sending.now()
            if self._call.rest.command_id:
                self._call.remembered_s = max(0.0, self._forgotten_at - now)
            if self._not_before is not None:
                self._call.retry_after_s = max(0.0, self._not_before - now)

    async def _run(self) -> AttemptResult:
        while True:
            if self._deadline.remaining() <= SEND_MARGIN_S:
                raise TooLateError(self._why_too_late())
            if self._sending.now() >= self._next_at:
                self._send_next()
            if not self._in_flight and self._next_at == math.inf:
                assert self._last is not None
                return self._last
            for result in await self._ended():
                if RULES[result.end].is_final:
                    return result
                self._last = result
                self._plan_retry(result)

    async def _ended(self) -> list[AttemptResult]:
        """Return how attempts have ended, once one has or something else is to be done."""
        wait = min(self._next_at - self._sending.now(), self._deadline.remaining() - SEND_MARGIN_S)
        await self._sleep(wait)
        results = []
        for number, attempt in tuple(self._in_flight.items()):
            if attempt.sent.ended.done():
                result = await self._result_of(attempt.sent)
                del self._in_flight[number]
                results.append(result)
                self._call.note(result.end)
                if result.end is End.OVERLOADED:
                    self._call.attempts -= 1  # refused before it was one
                pause_s = None if result.end in _SUCCESSES else self._note_wish(result)
                self._observe(number, attempt, result.label, pause_s)
        return results

    async def _sleep(self, seconds: float) -> None:
        """Sleep for so long, or until a request has ended."""
        # By hand: asyncio.wait takes twice the time, and every call comes through here.
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), self._wake) if seconds < math.inf else None
        try:
            await self._woken
        finally:
            if timer is not None:
                timer.cancel()

    def _wake(self, ended: object = None) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def _note_wish(self, result: AttemptResult) -> float | None:
        """Take note of when the provider wants a retry; returns in how many seconds."""
        if result.response is None:
            return None
        is_limited = result.end is End.RATE_LIMITED
        wait = retry_after(result.response.headers, self._sending.wall, is_limited=is_limited)
        if wait is not None:
            self._not_before = max(self._not_before or 0.0, self._sending.now() + wait)
        return wait

    def _send_next(self) -> None:
        """Send a request if the budget has one, and plan what comes after it."""
        self._next_at = math.inf
        sending, call, in_flight = self._sending, self._call, self._in_flight.values()
        is_hedge = bool(in_flight)
        if is_hedge and any(it.sent.left_at is None for it in in_flight):
            # It has not even left: another one would wait behind it.
            self._plan_hedge()
            return
        if call.attempts and not self._budget_has_one(hedge=is_hedge):
            return
        call.attempts += 1
        request = self._request
        if is_hedge or call.may_have_run:
            request = request._replace(send_by=self._forgotten_at)
        sent = sending.transport.start(request, self._deadline.at, sending.policy.attempt_max_s)
        sent.ended.add_done_callback(self._wake)
        self._in_flight[call.attempts] = _Attempt(sent, is_hedge)
        self._plan_hedge()

    def _budget_has_one(self, *, hedge: bool) -> bool:
        budget = self._sending.budget
        return budget.take_for_hedge() if hedge else budget.take()

    def _plan_hedge(self) -> None:
        """Plan a request in parallel to what is in flight, should that get no response."""
        if (
            self._safety is Safety.ONCE
            or len(self._in_flight) >= self._sending.policy.in_flight_max
        ):
            return
        patience = self._sending.hedge_after_s
        if patience is None:
            patience = self._sending.policy.patience_s(self._deadline.remaining())
        self._plan(patience, may_have_run=True)

    def _plan_retry(self, result: AttemptResult) -> None:
        """Plan a retry after an attempt has failed, if one is allowed."""
        policy = self._sending.policy
        wait = self._sending.random.uniform(0, policy.backoff_limit_s(self._call.attempts))
        if result.end is End.RATE_LIMITED:
            wait += policy.backoff_first_s
        self._next_at = math.inf
        if self._safety in RULES[result.end].retried:
            self._plan(wait, may_have_run=self._call.may_have_run)

    def _plan(self, wait: float, *, may_have_run: bool) -> None:
        policy, now = self._sending.policy, self._sending.now()
        if self._not_before is not None:
            # After it and not at it, as drawn: many may have been told the same time.
            wait += max(0.0, self._not_before - now)
        forgotten = may_have_run and now + wait > self._forgotten_at
        too_late = self._deadline.remaining() - wait < policy.useful_s
        if self._call.attempts < policy.attempts_max and not forgotten and not too_late:
            self._next_at = now + wait

    def _why_too_late(self) -> str:
        if any(it.sent.left_at is not None for it in self._in_flight.values()):
            return "no response"
        if self._in_flight:
            return "too many requests to the provider were in flight to send it"
        if self._last is None:
            return "too little time was left to send it"
        if self._last.error is not None:
            return str(self._last.error)
        assert self._last.response is not None
        return f"the last response had status {self._last.response.status}"

    async def _result_of(self, sent: SentRequest) -> AttemptResult:
        try:
            response = sent.ended.result()
        except TransportError as error:
            # Its traceback would hold `sent`, which holds the error.
            return AttemptResult.of_error(error.with_traceback(None))
        except asyncio.CancelledError:
            words = "the gateway has closed its connections"
            return AttemptResult.of_error(UnansweredError(words))
        except Exception:
            # A fault of the transport, which must not hide that the command may have run.
            _log.exception("a request to the provider failed unexpectedly")
            return AttemptResult.of_error(UnansweredError("the response could not be received"))
        check = self._call.operation.check
        try:
            if len(response.body) < LARGE_BYTES:
                check(response)
            else:
                await self._sending.aside.run(check, response)
        except NotAResponseError as instead:
            if instead.errors.errors:
                return AttemptResult(End.ERROR_IN_SUCCESS, response)
            words = f"HTTP {response.status} with {instead.what} instead of the provider's response"
            return AttemptResult.of_error(UnansweredError(words))
        return AttemptResult.of_response(response)

    def _observe(
        self, number: int, attempt: _Attempt, result: str, pause_s: float | None = None
    ) -> None:
        sent, is_hedge = attempt
        began = sent.asked_at if sent.left_at is None else sent.left_at
        self._sending.observe(
            AttemptEnded(
                self._call.operation.name,
                number,
                result,
                began,
                self._sending.now() - began,
                is_hedge,
                request_id=self._call.request_id,
                waited_s=began - sent.asked_at,
                pause_s=pause_s,
            )
        )
