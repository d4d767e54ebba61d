"""The client: an RPC's request to the provider and its answer back, within a deadline."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from gateway.codec.decoder import MismatchError
from gateway.deadline import Deadline
from gateway.telnyx.attempt import (
    TOO_MANY_REQUESTS,
    Attempt,
    AttemptEnded,
    AttemptObserver,
    History,
)
from gateway.telnyx.failures import (
    FailedCall,
    failure_of_answer,
    failure_of_transport,
    too_late,
    unreadable_answer,
)
from gateway.telnyx.operation import Operation, Safety
from gateway.telnyx.retry import Retries
from gateway.telnyx.transport import HttpRequest, HttpResponse, Transport, TransportError

# With less time left than this (seconds) no request is sent: its answer could not be waited for.
SEND_MARGIN_S = 0.005

# The provider's word that what was to be deleted is not there.
_GONE = frozenset({404, 410})
_UNAUTHORIZED = 401

R = TypeVar("R")


class TelnyxClient:
    """Calls the provider's REST operations.

    A call goes down a staircase, one concern to a step: `call` turns messages into requests and
    answers into messages, `_answered` repeats what may be repeated, `_attempt` sends once, or
    once more beside it (`hedge_after_s`), and `_send` gives the request to the transport.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        api_key: str,
        user_agent: str,
        retries: Retries,
        observe: AttemptObserver,
        *,
        hedge_after_s: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        headers = {
            "authorization": f"Bearer {api_key}",
            "accept": "application/json",
            "user-agent": user_agent,
        }
        self._headers = headers
        self._body_headers = headers | {"content-type": "application/json"}
        self._retries = retries
        self._observe = observe
        self._hedge_after_s = hedge_after_s
        self._sleep = sleep
        self._now = now
        self._credentials_rejected = False

    @property
    def credentials_rejected(self) -> bool:
        """Whether the provider's last answer was that it does not accept the API key."""
        return self._credentials_rejected

    async def call(
        self,
        operation: Operation[R],
        request: Any,
        deadline: Deadline,
        cursor: str,
        *,
        begun: Callable[[FailedCall], None] | None = None,
    ) -> R:
        """Send a request and return what the answer says.

        `cursor` goes into the receipt of a command. `begun` is given the call before anything is
        sent; what it says is kept up to date, also when the call is cancelled. Raises GatewayError.
        """
        call = operation.prepare(request)
        state = FailedCall(operation, request, call, History())
        if begun is not None:
            begun(state)
        body = await self._answered(state, deadline)
        try:
            return operation.finish(call, body, cursor)
        except MismatchError as mismatch:
            raise unreadable_answer(state, str(mismatch)) from None
        except ValueError:
            raise unreadable_answer(state, "it is not JSON") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _answered(self, state: FailedCall, deadline: Deadline) -> bytes:
        """Return the body of a 2xx answer. Raises GatewayError."""
        history, safety, call = state.history, state.operation.safety, state.call
        self._retries.budget.call_made()
        begun_at = self._now()
        while True:
            if deadline.remaining() <= SEND_MARGIN_S:
                raise too_late(state, "there was too little time to send it")
            try:
                attempt = await self._attempt(state, deadline, begun_at)
            except asyncio.CancelledError:
                history.give_up()
                history.age_s = self._now() - begun_at
                raise
            history.add(attempt)
            response = attempt.response
            if response is not None:
                self._note_credentials(response.status)
                if attempt.succeeded or self._was_deleted_before(state, response):
                    return response.body if attempt.succeeded else b""
            wait = self._retries.wait_before_next(
                attempt, history, safety, call, begun_at, deadline
            )
            if wait is None:
                break
            await self._sleep(wait)
        history.age_s = self._now() - begun_at
        if response is not None:
            raise failure_of_answer(state, response)
        assert attempt.error is not None
        if deadline.remaining() <= SEND_MARGIN_S:
            raise too_late(state, str(attempt.error))
        raise failure_of_transport(state, attempt.error)

    def _note_credentials(self, status: int) -> None:
        if status == _UNAUTHORIZED:
            self._credentials_rejected = True
        elif status < 500 and status not in (408, TOO_MANY_REQUESTS):
            # The provider has looked at the key; a proxy that fails in front of it has not.
            self._credentials_rejected = False

    async def _attempt(self, state: FailedCall, deadline: Deadline, begun_at: float) -> Attempt:
        may_repeat = state.operation.safety is not Safety.ONCE
        number = state.history.attempts + 1
        timeout = self._retries.policy.attempt_timeout(deadline, number, may_repeat=may_repeat)
        hedge = self._hedge_after_s
        send_by = math.inf
        if state.call.command_id and state.history.may_have_run:
            send_by = self._retries.policy.forgotten_at(begun_at)
        if hedge is None or not state.call.command_id or hedge >= timeout:
            return await self._send(state, number, timeout, send_by)
        return await self._hedged(state, number, timeout, send_by, hedge)

    async def _hedged(
        self,
        state: FailedCall,
        number: int,
        timeout: float,
        send_by: float,
        hedge_after_s: float,
    ) -> Attempt:
        """Send, and send the same again beside it if no answer comes; the first good one wins.

        The provider advises this for commands with an id, and runs only one of the two.
        """
        first = asyncio.create_task(self._send(state, number, timeout, send_by))
        sends = {first}
        ended: list[Attempt] = []
        try:
            done, pending = await asyncio.wait(sends, timeout=hedge_after_s)
            if not done and self._retries.budget.take_for_hedge():
                left = timeout - hedge_after_s
                second = asyncio.create_task(self._send(state, number, left, send_by))
                sends.add(second)
                pending.add(second)
            ended = [task.result() for task in done]
            while pending and not any(it.is_final for it in ended):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                ended += [task.result() for task in done]
        finally:
            for task in sends:
                task.cancel()
        # What is given up, and what ended without a word, may have run.
        state.history.may_have_run |= bool(pending) or any(it.may_have_run for it in ended)
        best = [it for it in ended if it.is_final] or [it for it in ended if it.may_have_run]
        return (best or ended)[0]

    async def _send(
        self, state: FailedCall, number: int, timeout: float, send_by: float
    ) -> Attempt:
        call = state.call
        request = HttpRequest(
            call.method,
            self._base_url + call.path,
            self._headers if call.body is None else self._body_headers,
            call.body,
            send_by,
        )
        try:
            attempt = Attempt(response=await self._transport.send(request, timeout))
        except TransportError as error:
            attempt = Attempt(error=error)
        self._observe(AttemptEnded(state.operation.name, number, attempt.outcome))
        return attempt

    @staticmethod
    def _was_deleted_before(state: FailedCall, response: HttpResponse) -> bool:
        """Tell whether a deletion finds nothing because an earlier attempt had deleted it."""
        return (
            state.call.method == "DELETE"
            and response.status in _GONE
            and state.history.may_have_run
        )
