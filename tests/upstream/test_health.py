"""The provider's health: what is logged of it, and when it makes a gateway not ready."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.health.health import PATIENCE_S, REMINDER_S, ProviderHealth, Sign
from gateway.upstream.health.probe import ProviderWatch, WatchedTransport
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    UnansweredError,
)
from tests.harness.clock import ManualClock
from tests.harness.log_lines import warnings

WHERE = "https://api.example.com"

WELL = HttpResponse(200, {"content-type": "application/json"}, b'{"data": []}')
DOWN = NotSentError("Connection refused (os error 111)")


@dataclass
class ScriptedProvider:
    """A transport that does the same to every request, until a test changes its mind."""

    does: HttpResponse | Exception
    asked: list[HttpRequest] = field(default_factory=list)
    when_asked: Callable[[], None] = lambda: None

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        self.asked.append(request)
        self.when_asked()
        if isinstance(self.does, Exception):
            raise self.does
        return self.does

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


class World:
    """A gateway's watch on a scripted provider, in a time of its own."""

    def __init__(self, does: HttpResponse | Exception, *, probe: bool = True) -> None:
        self.clock = ManualClock()
        self.provider = ScriptedProvider(does)
        self.health = ProviderHealth(WHERE, self.clock, must_be_reached=probe)
        self.transport = WatchedTransport(self.provider, self.health)
        self.changes: list[tuple[float, bool]] = []
        self.began = self.clock.now
        self._probe = probe

    def run(self, seconds: float, each_second: Callable[[], None] | None = None) -> None:
        """Let the watch live for some seconds."""
        ends = self.clock.now + seconds

        async def sleep(wait: float) -> None:
            if self.clock.now >= ends:
                raise asyncio.CancelledError
            self.clock.advance(wait)
            if each_second is not None:
                each_second()

        async def changed() -> None:
            self.changes.append((self.clock.now - self.began, self.health.not_ready is None))

        watch = ProviderWatch(
            self.provider,
            f"{WHERE}/v2",
            {"authorization": "Bearer K"},
            self.health,
            changed,
            probe_first=self._probe,
            sleep=sleep,
            now=self.clock,
            wall=self.clock,
        )
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(watch.run())

    def call(self) -> None:
        """Make a caller's request."""

        async def call() -> None:
            with contextlib.suppress(NotSentError):
                await self.transport.send(HttpRequest("POST", WHERE, {}), 1)

        coroutine = call()
        with pytest.raises(StopIteration):
            coroutine.send(None)


# --- A provider that is not there


def test_with_a_dead_provider_the_gateway_never_gets_ready_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(DOWN)
    assert world.health.not_ready == "the provider has not been reached yet"

    world.run(1)

    assert world.health.not_ready == "the provider cannot be reached"
    (line,) = warnings(caplog)
    assert WHERE in line
    assert "cannot be reached (for 0 s): Connection refused" in line


def test_a_provider_that_dies_while_nobody_calls_is_noticed_within_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(WELL)

    def dies_after_5_s() -> None:
        if world.clock.now - world.began >= 5:
            world.provider.does = DOWN

    world.run(65, each_second=dies_after_5_s)

    assert world.health.not_ready == "the provider cannot be reached"
    (first, _), (noticed_s, _) = world.changes
    assert (first, [ready for _, ready in world.changes]) == (0, [True, False])
    assert noticed_s - 5 <= 60
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (UnansweredError("no response in time"), "the provider cannot be reached"),
        (HttpResponse(503, {}, b"busy"), "the provider responds only with failures"),
        (HttpResponse(404, {}, b"<html>"), "the provider is not at TELNYX_BASE_URL"),
        (HttpResponse(301, {}, b""), "the provider is not at TELNYX_BASE_URL"),
        (
            HttpResponse(200, {"content-type": "text/html"}, b"<html>"),
            "the provider is not at TELNYX_BASE_URL",
        ),
        (HttpResponse(200, {}, b"[]"), "the provider is not at TELNYX_BASE_URL"),
        (HttpResponse(401, {}, b"{}"), "the provider rejects TELNYX_API_KEY"),
    ],
)
def test_whatever_answers_in_the_providers_place_is_told_from_it(
    does: HttpResponse | Exception, reason: str
) -> None:
    world = World(does)

    world.run(1)

    assert world.health.not_ready == reason


@pytest.mark.parametrize("status", [403, 429])
def test_a_provider_that_refuses_the_probe_alone_is_there(status: int) -> None:
    world = World(WELL)
    world.run(1)
    world.provider.does = HttpResponse(status, {}, b"{}")

    world.run(120)

    assert world.health.not_ready is None


# --- A provider that comes back


def test_it_is_ready_again_when_the_provider_is_back_although_nobody_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = World(DOWN)
    world.run(100)
    assert world.health.not_ready is not None
    caplog.clear()

    world.provider.does = WELL
    world.run(5)

    assert world.health.not_ready is None
    assert [it.getMessage() for it in caplog.records] == [
        f"the provider ({WHERE}) is available again after 100 s"
    ]


def test_an_outage_of_an_hour_is_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    world = World(DOWN)

    world.run(3_600, each_second=world.call)

    assert 50 <= len(warnings(caplog)) <= 61
    assert world.changes == []


# --- A provider that says when to come back


@pytest.mark.slow
@pytest.mark.parametrize("status", [408, 429, 500, 503])
@given(wait=st.integers(3, 4_000), reached=st.booleans())
@settings(max_examples=20, deadline=None)
def test_it_is_never_asked_before_it_wants_to_be_asked_again(
    status: int, wait: int, reached: bool
) -> None:
    world = World(WELL)
    asked_at: list[float] = []

    def busy() -> None:
        world.provider.does = HttpResponse(status, {"retry-after": str(wait)}, b"busy")

    if not reached:
        busy()
    world.provider.when_asked = lambda: asked_at.append(world.clock.now)
    world.run(wait * 2 + 70, each_second=busy)

    refused = asked_at[1:] if reached else asked_at
    assert len(refused) >= 2
    assert all(b - a >= wait for a, b in pairwise(refused))


def test_the_log_says_for_how_long_it_is_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    World(HttpResponse(503, {"retry-after": "3600"}, b"closed")).run(1)

    (line,) = warnings(caplog)
    assert "it asks for a retry in 3600 s: HTTP 503 closed" in line


def test_a_callers_request_that_succeeds_ends_the_trouble_before_it() -> None:
    world = World(HttpResponse(503, {"retry-after": "3600"}, b"closed"))
    world.run(60)
    assert world.health.not_ready is not None
    world.provider.does = WELL

    world.call()

    assert world.health.not_ready is None


@pytest.mark.parametrize("status", [200, 401, 404])
def test_what_it_counts_in_every_response_is_no_wish(status: int) -> None:
    world = World(HttpResponse(status, {"x-ratelimit-reset": "3600"}, b"{}"))

    world.run(10)

    assert len(world.provider.asked) >= 4


# --- What is no outage


def test_one_operation_that_fails_for_ever_is_no_outage() -> None:
    world = World(WELL)
    world.run(1)

    def broken_operation() -> None:
        world.health.note(Sign.FAILING, "HTTP 500")

    world.run(300, each_second=broken_operation)

    assert world.health.not_ready is None


@pytest.mark.parametrize("sign", [Sign.UNREACHABLE, Sign.FAILING])
def test_requests_of_callers_alone_never_take_a_gateway_out(sign: Sign) -> None:
    clock = ManualClock()
    health = ProviderHealth(WHERE, clock, must_be_reached=False)
    for _ in range(300):
        health.note(sign, "no response in time")
        clock.advance(1)
    assert health.not_ready is None

    # One probe may be lost, and so may the next.
    for _ in range(2):
        health.note(sign, "no response in time", probe=True)
        assert health.not_ready is None

    health.note(sign, "no response in time", probe=True)

    assert health.not_ready == f"the provider {sign.value}"


def test_a_hiccup_shorter_than_its_patience_takes_no_gateway_out() -> None:
    world = World(WELL)
    world.run(1)

    world.provider.does = DOWN
    world.run(PATIENCE_S - 5, each_second=world.call)
    world.provider.does = WELL
    world.run(60)

    assert world.changes == [(0, True)]


def test_without_a_first_question_only_trouble_is_asked_about() -> None:
    world = World(WELL, probe=False)
    world.run(600)
    assert world.provider.asked == []
    assert world.health.not_ready is None

    world.provider.does = DOWN
    world.call()
    world.run(40)

    assert world.health.not_ready == "the provider cannot be reached"
    assert world.provider.asked[-1].url == f"{WHERE}/v2/queues?page%5Bsize%5D=1"


MOMENTS = st.tuples(
    st.sampled_from(list(Sign)), st.booleans(), st.sampled_from([0.0, 0.5, 5.0, 20.0, 45.0])
)


@given(st.lists(MOMENTS, max_size=40), st.booleans())
def test_readiness_is_lost_for_good_reasons_only(
    story: list[tuple[Sign, bool, float]], must_be_reached: bool
) -> None:
    clock = ManualClock()
    health = ProviderHealth(WHERE, clock, must_be_reached=must_be_reached)
    reached = not must_be_reached
    good_at = clock.now
    for sign, probe, pause in story:
        health.note(sign, "words", probe=probe)
        if sign is Sign.WELL:
            reached, good_at = True, clock.now
            assert health.not_ready is None
        elif reached and health.not_ready is not None:
            rejected = health.not_ready == "the provider rejects TELNYX_API_KEY"
            assert rejected or clock.now - good_at >= PATIENCE_S
        clock.advance(pause)


@given(st.lists(MOMENTS, max_size=60))
def test_no_story_is_told_more_than_once_a_minute(story: list[tuple[Sign, bool, float]]) -> None:
    clock = ManualClock()
    health = ProviderHealth(WHERE, clock, must_be_reached=True)
    lines: list[tuple[str, float]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                assert isinstance(record.args, tuple)
                lines.append((str(record.args[1]), clock.now))

    log, handler = logging.getLogger("gateway.upstream.health.health"), Lines()
    log.addHandler(handler)
    try:
        for sign, probe, pause in story:
            health.note(sign, "words", probe=probe)
            clock.advance(pause)
    finally:
        log.removeHandler(handler)

    for kind in {kind for kind, _ in lines}:
        times = [at for it, at in lines if it == kind]
        assert all(b - a >= REMINDER_S for a, b in pairwise(times))
