"""A path to the provider that hangs: it is told while it lasts, and it heals by itself."""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from gateway.deadline import Deadline
from gateway.upstream.bound import BoundOperation
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.health import saturation
from gateway.upstream.health.saturation import STALLED_S, TICK_S, Saturation
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpRequest, HttpResponse, UnansweredError
from tests.conftest import StartGateway
from tests.harness.provider import RecordingProvider
from tests.harness.readiness import ready, serving, until
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

_METHODS = c.DESCRIPTOR.services_by_name["ConferenceService"].methods_by_name
PLAY = BoundOperation.compile(_METHODS["PlayAudio"])
REQUEST = c.PlayAudioRequest(conference_id="c", media_name="m")
OK = HttpResponse(200, {"content-type": "application/json"}, b'{"data": {"result": "ok"}}')

LONGEST_S = RetryPolicy().attempt_max_s


class HangingProvider:
    """A transport that responds after `takes` seconds. What it never responds to hangs for good."""

    def __init__(self, takes: Callable[[], float]) -> None:
        self.takes = takes

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        takes = self.takes()
        await asyncio.sleep(min(takes, timeout))
        if takes > timeout:
            raise UnansweredError("no response in time")
        return OK

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


class Stage:
    """The way to the provider, and what is told of it, in a time of its own."""

    def __init__(self, slots: int = 100) -> None:
        self.provider = HangingProvider(lambda: math.inf)
        self.limited = LimitedTransport(self.provider, slots, now=virtual_now)
        self.changes: list[tuple[float, bool]] = []
        self.began = virtual_now()
        self.saturation = Saturation(self.limited, self._changed, now=virtual_now)
        sending = Sending(
            self.limited,
            RetryPolicy(),
            RetryBudget(),
            random.Random(1),
            lambda attempt: None,
            now=virtual_now,
        )
        self.client = TelnyxClient(sending, "http://provider/v2", "KEY", "test")

    async def _changed(self) -> None:
        self.changes.append((self.passed_s, self.saturation.not_ready is None))

    @property
    def passed_s(self) -> float:
        return virtual_now() - self.began

    async def call(self, timeout: float | None = None) -> None:
        deadline = Deadline.after(timeout, now=virtual_now)
        await self.client.call(PLAY, REQUEST, deadline)

    async def passes(self) -> bool:
        try:
            await self.call(5)
        except UpstreamError as error:
            return error.reason is not Reason.GATEWAY_OVERLOADED
        return True

    async def leave(self, callers: int) -> None:
        """Have so many call, with endless deadlines, and go a second later."""
        calls = [asyncio.create_task(self.call()) for _ in range(callers)]
        await asyncio.sleep(1)
        for it in calls:
            it.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def staged(story: Callable[[Stage], Awaitable[None]], slots: int = 100) -> Stage:
    async def run() -> Stage:
        stage = Stage(slots)
        looks = asyncio.create_task(stage.saturation.run())
        await story(stage)
        await asyncio.sleep(2 * TICK_S)
        looks.cancel()
        await stage.client.close()
        return stage

    return run_in_virtual_time(run())


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (it.levelno, it.getMessage()) for it in caplog.records if it.name == saturation.__name__
    ]


def test_a_path_that_hung_once_is_told_and_heals_within_the_longest_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def story(stage: Stage) -> None:
        await stage.leave(100)
        assert await passes_or_hangs(stage) == "hangs"
        await stage.leave(100)
        assert stage.limited.abandoned == 200
        stalled_at = stage.passed_s - 1
        # The provider is well again, but what hangs goes on hanging.
        stage.provider.takes = lambda: 0.1
        passed: list[bool] = []
        while not passed or not passed[-1]:
            passed.append(await stage.passes())
            if stage.passed_s > stalled_at + STALLED_S + TICK_S and not passed[-1]:
                assert stage.saturation.not_ready
                assert stage.limited.stalled_s >= STALLED_S
            await asyncio.sleep(0.5)
        assert len(passed) > 50
        assert stage.passed_s <= LONGEST_S + 1
        for _ in range(100):
            assert await stage.passes()
        assert stage.limited.stalled_s == 0

    stage = staged(story)

    (told_s, told), (over_s, over) = stage.changes
    assert (told, over) == (False, True)
    assert STALLED_S <= told_s <= 2 + STALLED_S + TICK_S
    assert LONGEST_S <= over_s <= LONGEST_S + 2 * TICK_S
    (level, words), (_, end) = lines(caplog)
    assert level == logging.WARNING
    assert "200 are in flight (the maximum), 200 of them abandoned" in words
    assert end.startswith("requests to the provider succeed again after 5")


async def passes_or_hangs(stage: Stage) -> str:
    call = asyncio.create_task(stage.call())
    await asyncio.sleep(0.5)
    call.cancel()
    return "hangs" if not call.done() else "passes"


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("takes_s", [0.1, 3.0, 6.0, 9.5])
def test_a_provider_that_is_only_slow_is_no_stall(
    takes_s: float, spread: float, caplog: pytest.LogCaptureFixture
) -> None:
    """All slots are taken all the time, and three times as many wait; in waves without spread."""
    random_ = random.Random(7)

    async def story(stage: Stage) -> None:
        stage.provider.takes = lambda: takes_s * random_.uniform(1 - spread, 1)

        async def caller() -> None:
            for _ in range(5):
                await stage.call()

        await asyncio.gather(*(caller() for _ in range(400)))
        assert stage.passed_s >= 5 * takes_s

    stage = staged(story)

    assert stage.changes == []
    assert lines(caplog) == []


@pytest.mark.slow
def test_a_hang_that_lasts_is_one_line_however_many_run_into_their_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Slots that a time-out frees, and that are taken at once, are no end of a stall."""
    caplog.set_level(logging.INFO)

    async def story(stage: Stage) -> None:
        async def caller(number: int) -> None:
            await asyncio.sleep(number / 20)
            while stage.passed_s < 40:
                with pytest.raises(UpstreamError, match="DEADLINE_EXCEEDED"):
                    await stage.call(2)

        await asyncio.gather(*(caller(number) for number in range(15)))

    stage = staged(story, slots=3)

    assert [ready_ for _, ready_ in stage.changes] == [False, True]
    assert [level for level, _ in lines(caplog)] == [logging.WARNING, logging.INFO]


MOMENTS = st.floats(0, 90, allow_subnormal=False)


@pytest.mark.slow
@given(st.integers(1, 5), st.lists(st.tuples(MOMENTS, MOMENTS), max_size=25))
def test_what_is_told_is_true_of_any_story(slots: int, calls: list[tuple[float, float]]) -> None:
    """Each call comes at a moment; its request takes a time, or longer than it may."""

    async def story(stage: Stage) -> None:
        times = [takes for _, takes in calls]
        stage.provider.takes = lambda: times.pop() if times else math.inf

        async def caller(at: float) -> None:
            await asyncio.sleep(at)
            with contextlib.suppress(UpstreamError):
                await stage.call(200)

        async def judge() -> None:
            free_since = stage.passed_s
            while stage.passed_s < 300:
                if stage.limited.stalled_s > 0:
                    assert stage.limited.in_flight >= slots
                    free_since = math.inf
                else:
                    free_since = min(free_since, stage.passed_s)
                if stage.limited.stalled_s >= STALLED_S + 1.1 * TICK_S:
                    assert stage.saturation.not_ready
                if stage.passed_s - free_since >= 1.1 * TICK_S:
                    assert stage.saturation.not_ready is None
                await asyncio.sleep(0.1)

        await asyncio.gather(judge(), *(caller(at) for at, _ in calls))

    staged(story, slots)


@pytest.mark.slow
def test_a_whole_gateway_says_so_and_takes_it_back(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(saturation, "STALLED_S", 0.2)
    monkeypatch.setattr(saturation, "TICK_S", 0.02)
    gateway = start_gateway(provider.base_url, GATEWAY_UPSTREAM_IN_FLIGHT="2")
    assert gateway.gauge("gateway_upstream_stalled_seconds") == 0

    with provider.hanging():
        calls = [gateway.conferences.PlayAudio.future(REQUEST, timeout=60) for _ in range(2)]
        until(lambda: not serving(gateway, "conferencing.v1.ConferenceService"))
        assert ready(gateway) == (
            503,
            "not ready: requests to the provider hang, and the maximum number is in flight\n",
        )
        assert not serving(gateway, "")
        assert serving(gateway, "conferencing.v1.EventService")
        assert gateway.gauge("gateway_upstream_stalled_seconds") >= 0.2

    assert all(it.result().receipt.result == "ok" for it in calls)
    until(lambda: ready(gateway) == (200, "ready\n"))
    until(lambda: serving(gateway, "conferencing.v1.ConferenceService"))
    assert gateway.gauge("gateway_upstream_stalled_seconds") == 0
    assert [level for level, _ in lines(caplog)] == [logging.WARNING, logging.INFO]
