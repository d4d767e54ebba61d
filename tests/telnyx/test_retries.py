"""Repeats: only where they are harmless, only while they help, and never beyond the budget."""

import http.client
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.app import COMMAND_SERVICES
from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.telnyx.binding import Binding, compile_services
from gateway.telnyx.client import TelnyxClient
from gateway.telnyx.limit import LimitedTransport
from gateway.telnyx.operation import Safety
from gateway.telnyx.retry import Retries, RetryBudget, RetryPolicy
from gateway.telnyx.transport import HttpRequest, HttpResponse, NotSentError, UnansweredError
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider, SentRequest

BINDINGS = {binding.name: binding for binding in compile_services(COMMAND_SERVICES)}
OK = HttpResponse(200, {}, b'{"data": {"result": "ok"}}')

READ = (BINDINGS["GetQueue"], q.GetQueueRequest(queue_name="q"))
OWN_ID = (
    BINDINGS["EndConference"],
    c.EndConferenceRequest(conference_id="c", command_id="mine"),
)
MADE_ID = (BINDINGS["EndConference"], c.EndConferenceRequest(conference_id="c"))
STATE = (BINDINGS["MuteParticipants"], c.MuteParticipantsRequest(conference_id="c"))
ONCE = (BINDINGS["PlayAudio"], c.PlayAudioRequest(conference_id="c", media_name="m"))
DELETE = (BINDINGS["DeleteQueue"], q.DeleteQueueRequest(queue_name="q"))

Ending = HttpResponse | Exception


def answer(status: int, **headers: str) -> HttpResponse:
    return HttpResponse(status, {name.replace("_", "-"): it for name, it in headers.items()}, b"{}")


class Script:
    """A transport that answers from a list, and a clock that only its users move."""

    def __init__(self, *endings: Ending, takes: float = 0.0) -> None:
        self.endings = list(endings)
        self.sent: list[tuple[HttpRequest, float]] = []
        self.waits: list[float] = []
        self.now = 1_000.0
        self._takes = takes

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        self.sent.append((request, timeout))
        self.now += min(self._takes, timeout)
        ending = self.endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def close(self) -> None:
        pass


class Caller:
    def __init__(self, loop: LoopThread, script: Script, budget: RetryBudget | None = None) -> None:
        self._loop, self.script = loop, script
        self.budget = budget or RetryBudget()
        retries = Retries(RetryPolicy(), self.budget, random.Random(1), now=lambda: script.now)
        self._client = TelnyxClient(
            script,
            "http://provider/v2",
            "KEY",
            "test",
            retries,
            lambda attempt: None,
            sleep=script.sleep,
            now=lambda: script.now,
        )

    def call(self, what: tuple[Binding, Any], timeout: float = 10) -> Any:
        binding, request = what
        deadline = Deadline.after(timeout, now=lambda: self.script.now)
        return self._loop.run(self._client.call(binding, request, deadline, "cursor"))

    def failure(self, what: tuple[Binding, Any], timeout: float = 10) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.call(what, timeout)
        return caught.value


@pytest.fixture
def caller(loop: LoopThread) -> Callable[..., Caller]:
    def make(*endings: Ending, takes: float = 0.0, budget: RetryBudget | None = None) -> Caller:
        return Caller(loop, Script(*endings, takes=takes), budget)

    return make


MakeCaller = Callable[..., Caller]

LOST = UnansweredError("the connection closed")
NEVER_SENT = NotSentError("refused")


@pytest.mark.parametrize("ending", [LOST, NEVER_SENT, *map(answer, (408, 429, 500, 502, 503, 504))])
@pytest.mark.parametrize("what", [OWN_ID, MADE_ID, STATE])
def test_what_is_harmless_is_repeated(
    caller: MakeCaller, what: tuple[Binding, Any], ending: Ending
) -> None:
    it = caller(ending, OK)

    response = it.call(what)

    assert response.receipt.result == "ok"
    first, second = (request for request, _ in it.script.sent)
    assert first[:4] == second[:4]  # method, address, headers, and the body with its command id


@pytest.mark.parametrize("ending", [LOST, *map(answer, (408, 500, 502, 503, 504))])
def test_what_would_be_heard_twice_is_sent_once(caller: MakeCaller, ending: Ending) -> None:
    it = caller(ending)

    error = it.failure(ONCE)

    assert len(it.script.sent) == 1
    assert (error.code.name, error.metadata["outcome"]) == ("UNKNOWN", "unknown")


@pytest.mark.parametrize("ending", [NEVER_SENT, answer(429)])
def test_what_provably_did_not_run_is_repeated_even_if_heard(
    caller: MakeCaller, ending: Ending
) -> None:
    assert caller(ending, ending, OK).call(ONCE).receipt.result == "ok"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422])
def test_an_answer_that_would_be_the_same_is_not_asked_for_again(
    caller: MakeCaller, status: int
) -> None:
    it = caller(answer(status))

    it.failure(OWN_ID)

    assert len(it.script.sent) == 1


def test_attempts_are_limited_and_counted(caller: MakeCaller) -> None:
    it = caller(*[answer(503)] * 9)

    error = it.failure(READ)

    assert len(it.script.sent) == 4
    assert error.metadata["attempts"] == "4"
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")


def test_waits_are_drawn_below_a_limit_that_doubles(caller: MakeCaller) -> None:
    drawn = []
    for _ in range(50):
        it = caller(*[answer(503)] * 4)
        it.failure(READ)
        assert len(it.script.waits) == 3
        drawn.append(it.script.waits)
    assert all(
        0 <= wait <= 0.05 * 2**number for waits in drawn for number, wait in enumerate(waits)
    )

    # Full jitter: not all alike.
    generator = random.Random(3)
    it = caller()
    retries = Retries(RetryPolicy(), RetryBudget(), generator)
    assert retries.policy.backoff_max_s == 2.0


def test_the_providers_wait_is_kept(caller: MakeCaller) -> None:
    it = caller(answer(429, retry_after="2"), answer(503, x_ratelimit_reset="1"), OK)

    it.call(OWN_ID)

    assert it.script.waits[0] >= 2
    assert it.script.waits[1] >= 1


def test_a_wait_beyond_the_deadline_is_left_to_the_caller(caller: MakeCaller) -> None:
    it = caller(answer(429, retry_after="30"))

    error = it.failure(OWN_ID)

    assert (error.code.name, error.retry_after) == ("RESOURCE_EXHAUSTED", 30)
    assert it.script.waits == []


def test_no_repeat_comes_after_the_provider_has_forgotten_the_command(caller: MakeCaller) -> None:
    # Each answer takes 20 s: the third attempt would begin 40 s after the first, the fourth 60 s.
    it = caller(*[answer(503)] * 9, takes=20)

    error = it.failure(OWN_ID, timeout=1_000)

    assert len(it.script.sent) == 3
    # By now the caller's own repeat would not be recognised either.
    assert (error.code.name, error.metadata["outcome"]) == ("UNKNOWN", "unknown")
    # Reading may go on for as long as the caller likes.
    patient = caller(*[answer(503)] * 3, HttpResponse(200, {}, b'{"data": {}}'), takes=20)
    patient.call(READ, timeout=1_000)
    assert len(patient.script.sent) == 4


def test_a_deadline_is_split_so_that_one_lost_answer_does_not_use_it_up(caller: MakeCaller) -> None:
    it = caller(LOST, LOST, LOST, OK, takes=100)

    it.call(STATE, timeout=10)

    timeouts = [timeout for _, timeout in it.script.sent]
    assert timeouts[0] == 5
    assert all(1 <= timeout <= 5 for timeout in timeouts)
    assert sum(timeouts) + sum(it.script.waits) <= 10
    # What is sent only once has all the time there is.
    once = caller(OK)
    once.call(ONCE, timeout=10)
    assert once.script.sent[0][1] == 10


def test_too_little_time_sends_nothing(caller: MakeCaller) -> None:
    it = caller()

    error = it.failure(OWN_ID, timeout=0.004)

    assert it.script.sent == []
    assert (error.code.name, error.metadata["outcome"]) == ("DEADLINE_EXCEEDED", "not_sent")


def test_the_budget_keeps_an_outage_from_being_multiplied(caller: MakeCaller) -> None:
    budget = RetryBudget(per_call=0.1, balance_max=10)
    calls = 1_000
    sent = 0
    for _ in range(calls):
        it = caller(*[answer(503)] * 9, budget=budget)
        it.failure(READ)
        sent += len(it.script.sent)

    assert sent - calls <= 10 + calls * 0.1
    # It fills up again while things go well.
    for _ in range(100):
        caller(OK, budget=budget).call(STATE)
    it = caller(answer(503), OK, budget=budget)
    it.call(STATE)
    assert len(it.script.sent) == 2


def test_hedges_leave_half_of_the_budget_to_repeats() -> None:
    budget = RetryBudget(per_call=0.1, balance_max=10)

    assert [budget.take_for_hedge() for _ in range(6)] == [True] * 5 + [False]
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]
    # What calls add goes to repeats until half is there again.
    for _ in range(59):
        budget.call_made()
    assert not budget.take_for_hedge()
    budget.call_made()
    budget.call_made()
    assert budget.take_for_hedge()


# Who may call again


def test_a_command_whose_id_the_caller_knows_may_be_called_again(caller: MakeCaller) -> None:
    for what in (OWN_ID, STATE, READ):
        assert caller(*[LOST] * 4).failure(what).code.name == "UNAVAILABLE"


def test_a_command_whose_id_was_made_here_may_not(caller: MakeCaller) -> None:
    it = caller(*[LOST] * 4)

    error = it.failure(MADE_ID)

    # The caller's next call would get another id, and the provider would run it again.
    assert (error.code.name, error.metadata["outcome"]) == ("UNKNOWN", "unknown")
    command_id = error.metadata["command_id"]
    assert command_id.encode() in (it.script.sent[0][0].body or b"")
    assert command_id in error.message


def test_an_early_attempt_that_may_have_run_is_not_forgotten(caller: MakeCaller) -> None:
    for last in (NEVER_SENT, answer(429, retry_after="99")):
        error = caller(LOST, last, last, last).failure(MADE_ID)
        assert (error.code.name, error.metadata["outcome"]) == ("UNKNOWN", "unknown")
    # Nothing ran in any of these.
    assert caller(*[NEVER_SENT] * 4).failure(MADE_ID).code.name == "UNAVAILABLE"


def test_a_deletion_that_finds_nothing_after_a_lost_answer_has_succeeded(
    caller: MakeCaller,
) -> None:
    assert caller(LOST, answer(404)).call(DELETE).receipt.cursor == "cursor"
    # But not if nothing was there in the first place.
    assert caller(answer(404)).failure(DELETE).code.name == "NOT_FOUND"
    assert caller(NEVER_SENT, answer(404)).failure(DELETE).code.name == "NOT_FOUND"


def test_only_what_is_idempotent_is_marked_so() -> None:
    for binding in BINDINGS.values():
        if binding.has_command_id:
            assert binding.safety is Safety.REPEATABLE, binding.name


# Over the wire


def test_a_rate_limit_reaches_grpc_retries_as_pushback(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(429, {}, {"retry-after": "60"})

    with pytest.raises(grpc.RpcError) as caught:
        gateway.queues.GetQueue(READ[1], timeout=5)

    error: Any = caught.value
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "60000"


def test_a_command_is_sent_a_second_time_when_no_answer_comes(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    released = threading.Event()

    def first_hangs(request: SentRequest) -> Answer:
        if len(provider.requests) == 1:
            released.wait(20)
        return Answer()

    provider.answer = first_hangs
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.2s")
    try:
        answer = gateway.conferences.EndConference(MADE_ID[1], timeout=20)
    finally:
        released.set()

    first, second = provider.requests
    assert first.body == second.body == {"command_id": answer.receipt.command_id}


@pytest.mark.parametrize("second", [429, 503])
def test_a_lost_answer_is_not_forgotten_for_the_one_sent_beside_it(
    start_gateway: StartGateway, provider: RecordingProvider, second: int
) -> None:
    released = threading.Event()

    def first_hangs_up(request: SentRequest) -> Answer | None:
        if len(provider.requests) == 1:
            released.wait(20)
            return None  # it may have run, who knows
        released.set()
        return Answer(second, {}, {"retry-after": "60"})

    provider.answer = first_hangs_up
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")

    failure = failure_of(gateway.conferences.EndConference, MADE_ID[1], timeout=5)

    assert failure.code is grpc.StatusCode.UNKNOWN
    assert failure.info.metadata["outcome"] == "unknown"


def test_what_is_given_up_for_the_one_sent_beside_it_may_have_run(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    released = threading.Event()

    def first_hangs(request: SentRequest) -> Answer:
        if len(provider.requests) == 1:
            released.wait(20)
        return Answer(422, {"errors": [{"code": "90018"}]})

    provider.answer = first_hangs
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")
    try:
        failure = failure_of(gateway.conferences.EndConference, MADE_ID[1], timeout=5)
    finally:
        released.set()

    assert failure.info.reason == "INVALID_STATE"
    assert failure.info.metadata["outcome"] == "unknown"


def test_what_has_no_id_is_not_sent_a_second_time(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    released = threading.Event()

    def hangs(request: SentRequest) -> Answer:
        released.wait(1)
        return Answer()

    provider.answer = hangs
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")

    gateway.conferences.PlayAudio(ONCE[1], timeout=20)

    assert len(provider.requests) == 1


def test_a_full_queue_is_refused_at_once(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    released = threading.Event()

    def hangs(request: SentRequest) -> Answer:
        released.wait(20)
        return Answer()

    provider.answer = hangs
    gateway = start_gateway(
        provider.base_url, GATEWAY_UPSTREAM_IN_FLIGHT="2", GATEWAY_UPSTREAM_WAITING="1"
    )
    futures = [gateway.conferences.PlayAudio.future(ONCE[1], timeout=20) for _ in range(3)]
    try:
        _until_full(gateway, 2, 1)
        failure = failure_of(gateway.conferences.PlayAudio, ONCE[1])
    finally:
        released.set()

    assert (failure.code.name, failure.info.reason) == ("RESOURCE_EXHAUSTED", "GATEWAY_OVERLOADED")
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1
    assert all(future.result().receipt.result == "ok" for future in futures)


def _until_full(gateway: RunningGateway, in_flight: int, waiting: int) -> None:
    """Wait until calls that are on their way have arrived."""
    transport = gateway.app._client._transport
    assert isinstance(transport, LimitedTransport)
    ends = time.monotonic() + 20
    while (transport.in_flight, transport.waiting) != (in_flight, waiting):
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_rejected_key_makes_the_gateway_not_ready_until_it_is_taken(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url)
    health = health_pb2_grpc.HealthStub(gateway.channel)

    def ready() -> tuple[int, str]:
        connection = http.client.HTTPConnection(gateway.http_address, timeout=20)
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        connection.close()
        name = "conferencing.v1.ConferenceService"
        status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
        return response.status, health_pb2.HealthCheckResponse.ServingStatus.Name(status)

    def wait_for(state: tuple[int, str]) -> None:
        ends = time.monotonic() + 20
        while ready() != state:
            assert time.monotonic() < ends
            time.sleep(0.05)

    wait_for((200, "SERVING"))
    provider.answer = Answer(401, {"errors": [{"code": "10009"}]})
    failure_of(gateway.queues.GetQueue, READ[1])
    wait_for((503, "NOT_SERVING"))
    feed = health_pb2.HealthCheckRequest(service="conferencing.v1.EventService")
    assert health.Check(feed).status == health_pb2.HealthCheckResponse.SERVING
    provider.answer = Answer(200, {"data": [], "meta": {}})
    wait_for((200, "SERVING"))
