"""One call in virtual time, with a provider whose every response is written beforehand."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.aside import Aside
from gateway.deadline import Deadline
from gateway.records.attempts import AttemptEnded
from gateway.records.observer import Observer, ignore
from gateway.schema.services import COMMAND_SERVICES
from gateway.server.upstream_statuses import CODES
from gateway.upstream.bound import BoundOperation, operations_of
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import UpstreamError
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    UnansweredError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

OPERATIONS = {it.name: it for it in operations_of(COMMAND_SERVICES)}
OK = HttpResponse(200, {}, b'{"data": {"result": "ok"}}')

What = tuple[BoundOperation, Any]

READ: What = (OPERATIONS["GetQueue"], q.GetQueueRequest(queue_name="q"))
OWN_ID: What = (
    OPERATIONS["EndConference"],
    c.EndConferenceRequest(conference_id="c", command_id="mine"),
)
MADE_ID: What = (OPERATIONS["EndConference"], c.EndConferenceRequest(conference_id="c"))
STATE: What = (OPERATIONS["MuteParticipants"], c.MuteParticipantsRequest(conference_id="c"))
ONCE: What = (OPERATIONS["PlayAudio"], c.PlayAudioRequest(conference_id="c", media_name="m"))
DELETE: What = (OPERATIONS["DeleteQueue"], q.DeleteQueueRequest(queue_name="q"))

LOST = UnansweredError("the connection closed")
NEVER_SENT = NotSentError("refused")
ERROR_IN_SUCCESS = HttpResponse(200, {}, b'{"data": {}, "errors": [{"code": "10015"}]}')
PAGE = HttpResponse(200, {"content-type": "text/html"}, b"<html>it works</html>")


@dataclass(frozen=True)
class After:
    """How a request ends, and after how many seconds; never is 1e9."""

    seconds: float
    ending: HttpResponse | Exception = OK


NEVER = After(1e9)

Step = HttpResponse | Exception | After


def status(number: int, **headers: str) -> HttpResponse:
    return HttpResponse(number, {name.replace("_", "-"): it for name, it in headers.items()}, b"{}")


P = ParamSpec("P")
R = TypeVar("R")


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


class Inline(Aside):
    """Runs what is large in the loop: threads know no virtual time."""

    async def run(self, function: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        return function(*args, **named)


def client_of(
    transport: LimitedTransport,
    budget: RetryBudget | None = None,
    observe: Observer[AttemptEnded] = ignore,
    hedge_after: float | None = None,
    seed: int = 1,
    policy: RetryPolicy | None = None,
) -> TelnyxClient:
    sending = Sending(
        transport,
        policy or RetryPolicy(),
        budget or RetryBudget(),
        random.Random(seed),
        observe,
        hedge_after,
        now=virtual_now,
        aside=Inline(),
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
    policy: RetryPolicy | None = None,
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
            policy,
        )
        began = virtual_now()
        operation, request = what
        result: Any
        try:
            result = await client.call(operation, request, Deadline.after(timeout, now=virtual_now))
        except UpstreamError as error:
            result = error
        took = round(virtual_now() - began, 5)
        await client.close()
        return Call(result, took, [round(it - began, 5) for it in script.sent_at], script, observed)

    return run_in_virtual_time(run())
