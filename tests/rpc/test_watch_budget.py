"""What all watched conferences together cost the provider, and who waits for whom.

The streams, the reader and the client are the gateway's own; the time is the test's.
"""

import asyncio
import contextlib
import logging
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from conferencing.v1.conference_service_pb2 import MuteParticipantsRequest
from conferencing.v1.event_service_pb2 import WatchConferenceRequest, WatchConferenceResponse
from gateway.errors import GatewayError
from gateway.events.delivery import Delivery
from gateway.rpc.conference_reader import RETRY_S, ConferenceReader
from gateway.rpc.fair_queue import Rank
from gateway.rpc.passing import PassingCommands
from gateway.rpc.watch import FIRST_WAIT_MAX_S, REFRESH_INTERVAL_S, WatchStream
from gateway.upstream.client import TelnyxClient
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpRequest, HttpResponse
from tests.conftest import StartGateway
from tests.harness.events import KEYS
from tests.harness.gateway import failure_of
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.virtual_time import run_in_virtual_time

PER_S = 50
BURST = 500
REFUSED = ("GATEWAY_OVERLOADED", RETRY_S)
JSON = {"content-type": "application/json"}


def now() -> float:
    return asyncio.get_running_loop().time()


class CountingProvider:
    """A transport that responds after a while, and knows when it was asked for which conference."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.takes_s = 0.02
        self.lists_fail = False
        self.pages = 1

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        path = request.url.removeprefix("http://provider/v2/conferences/")
        conference, _, rest = path.partition("/")
        self.asked.append((now(), conference))
        await asyncio.sleep(self.takes_s)
        if rest and self.lists_fail:
            return HttpResponse(503, JSON, b"{}")
        if not rest:
            return HttpResponse(200, JSON, orjson.dumps({"data": {"id": conference}}))
        number = re.search(r"page%5Bnumber%5D=(\d+)", rest)
        page = int(number[1]) if number else 1
        meta = {
            "page_number": page,
            "page_size": 250,
            "total_pages": self.pages,
            "total_results": 1,
        }
        return HttpResponse(200, JSON, orjson.dumps({"data": [], "meta": meta}))

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


class QuietSubscription:
    """A place in a feed in which nothing happens."""

    position = 0

    def __init__(self) -> None:
        self._interrupted = asyncio.Event()

    def __enter__(self) -> "QuietSubscription":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def interrupt(self) -> None:
        self._interrupted.set()

    async def next(self, timeout: float) -> Delivery:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._interrupted.wait()
        self._interrupted.clear()
        return Delivery((), 0, live=True)


class QuietFeed:
    newest = 0
    keys = KEYS

    def subscribe(self, *_: object) -> QuietSubscription:
        return QuietSubscription()

    def cursor(self, position: int) -> str:
        return str(position)


class Watcher:
    """A caller of WatchConference on a connection, as the stream sees it."""

    def __init__(self, connection: str, conference: str, deadline_s: float | None = None) -> None:
        self.conference = conference
        self._connection = connection
        self._deadline_s = deadline_s
        # When its responses came.
        self.snapshot_at: float | None = None
        self.updated_at: list[float] = []

    def peer(self) -> str:
        return self._connection

    def time_remaining(self) -> float | None:
        return self._deadline_s

    async def write(self, response: bytes) -> None:
        if WatchConferenceResponse.FromString(response).HasField("snapshot"):
            self.snapshot_at = now()


class Stage:
    def __init__(self) -> None:
        self.provider = CountingProvider()
        limited = LimitedTransport(self.provider, now=now)
        sending = Sending(
            limited, RetryPolicy(), RetryBudget(), random.Random(1), lambda attempt: None, now=now
        )
        client = TelnyxClient(sending, "http://provider/v2", "KEY", "test")
        self.reader = ConferenceReader(client, 10, PER_S, now)
        self.passing = PassingCommands(now)
        feed: Any = QuietFeed()
        self._stream = WatchStream(feed, self.reader, self.passing, 3_600, random.Random(2), now)
        self.began = now()
        self.refusals = Counter[tuple[str, float | None]]()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def passed_s(self) -> float:
        return now() - self.began

    async def watch(self, watcher: Any) -> None:
        request = WatchConferenceRequest(
            conference_id=watcher.conference, heartbeat_interval=Duration(seconds=60)
        )
        await self._stream.watch_conference(request, watcher)

    def open(self, *args: Any, comes_back: bool = False) -> Watcher:
        """Begin to watch; refused, to come back when one is told to."""
        watcher = Watcher(*args)

        async def watch() -> None:
            while True:
                try:
                    await self.watch(watcher)
                except GatewayError as error:
                    self.refusals[error.reason, error.retry_after] += 1
                    if not comes_back:
                        return
                    await asyncio.sleep(RETRY_S)

        self._tasks.append(asyncio.create_task(watch()))
        return watcher

    def mute(self, conference: str) -> None:
        """Have a command pass through the gateway."""
        self.passing("MuteParticipants", MuteParticipantsRequest(conference_id=conference))

    def asked_for(self, conference: str, since: float = 0) -> list[float]:
        return [at for at, it in self.provider.asked if it == conference and at >= since]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reader.close()


def staged(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    async def run() -> Stage:
        stage = Stage()
        await story(stage)
        await stage.close()
        assert stage.reader.queue.waiting(Rank.PROMPT) == 0
        assert stage.reader.queue.waiting(Rank.WHENEVER) == 0
        return stage

    return run_in_virtual_time(run())


def assert_within_budget(stage: Stage) -> None:
    for number, (at, _) in enumerate(stage.provider.asked, 1):
        assert number <= BURST + PER_S * (at - stage.began) + 1


@pytest.fixture(autouse=True)
def _no_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Refusals are a line each, which a running gateway keeps to one a second."""
    caplog.set_level(logging.ERROR)


@pytest.mark.parametrize("connections", [1, 20])
def test_five_thousand_conferences_cost_no_more_than_the_budget(connections: int) -> None:
    async def story(stage: Stage) -> None:
        flood = [
            stage.open(f"c{number % connections}", str(number), comes_back=True)
            for number in range(5_000)
        ]
        await asyncio.sleep(1)
        served = sum(it.snapshot_at is not None for it in flood)
        assert 250 <= served <= 275
        assert stage.refusals[REFUSED] >= 4_000

        honest = stage.open("honest", "meeting")
        opened_at = now()
        await asyncio.sleep(15)
        assert honest.snapshot_at is not None
        # Each of the others has its turn before, and one in ten is left to those at the back.
        a_round_s = (connections + 2) * 2 / PER_S * 10 / 9
        assert honest.snapshot_at - opened_at <= a_round_s + 0.2

        # More and more of the conferences wait to be asked for again, and each of them once.
        await asyncio.sleep(20)
        assert stage.reader.queue.waiting(Rank.WHENEVER) >= 100
        muted_at = now()
        stage.mute("meeting")
        await asyncio.sleep(10)
        assert stage.asked_for("meeting", muted_at)[0] - muted_at <= a_round_s + 0.2
        assert stage.reader.queue.waiting(Rank.WHENEVER) <= 5_001
        # Those of before are still refreshed, if later.
        assert max(Counter(it for _, it in stage.provider.asked).values()) >= 4

    stage = staged(story)
    assert_within_budget(stage)
    assert len(stage.provider.asked) >= (BURST + PER_S * 46) * 0.95


def test_five_hundred_who_come_back_at_once_are_all_served() -> None:
    async def story(stage: Stage) -> None:
        watchers = [stage.open("service", str(number)) for number in range(480)]
        await asyncio.sleep(FIRST_WAIT_MAX_S)
        assert all(it.snapshot_at is not None for it in watchers)
        assert not stage.refusals

    staged(story)


def test_a_thousand_who_watch_one_conference_are_served_at_once() -> None:
    async def story(stage: Stage) -> None:
        for number in range(1_000):
            stage.open("flood", f"f{number}", comes_back=True)
        watchers = [stage.open(f"c{number % 100}", "assembly") for number in range(1_000)]
        await asyncio.sleep(1)
        assert all(it.snapshot_at is not None for it in watchers)
        assert len(stage.asked_for("assembly")) <= 4

    staged(story)


def test_waiting_for_a_slow_response_to_another_is_no_waiting_for_a_turn() -> None:
    async def story(stage: Stage) -> None:
        stage.provider.takes_s = 60
        first = stage.open("a", "meeting")
        await asyncio.sleep(0.01)
        second = stage.open("b", "meeting")
        await asyncio.sleep(9)
        stage.provider.takes_s = 0.1
        await asyncio.sleep(3)
        assert first.snapshot_at is None
        assert second.snapshot_at is not None

    staged(story)


@pytest.mark.parametrize("deadline_s", [None, 1.0])
def test_who_would_wait_too_long_is_refused_at_once(deadline_s: float | None) -> None:
    patience_s = FIRST_WAIT_MAX_S if deadline_s is None else deadline_s

    async def story(stage: Stage) -> None:
        watchers = [stage.open("c", str(number), deadline_s) for number in range(1_000)]
        await asyncio.sleep(0.001)
        refused = stage.refusals[REFUSED]
        assert stage.reader.queue.refused == refused
        assert 1_000 - refused == pytest.approx((BURST + PER_S * patience_s) / 2, abs=2)
        await asyncio.sleep(patience_s + 0.1)
        # And nobody who was not refused then is refused later.
        assert sum(it.snapshot_at is not None for it in watchers) == 1_000 - refused

    staged(story)


def test_watchers_of_one_conference_who_come_and_go_starve_no_other() -> None:
    async def story(stage: Stage) -> None:
        async def churn() -> None:
            while True:
                watching = asyncio.create_task(stage.watch(Watcher("churn", "hot")))
                await asyncio.sleep(0.01)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

        stage.provider.takes_s = 0.001
        churning = [asyncio.create_task(churn()) for _ in range(20)]
        await asyncio.sleep(12)  # by then all that was there at once is used up
        for number in range(20):
            honest = stage.open("honest", f"h{number}")
            opened_at = now()
            await asyncio.sleep(0.5)
            assert honest.snapshot_at is not None
            assert honest.snapshot_at - opened_at <= 0.2
        for it in churning:
            it.cancel()
        await asyncio.gather(*churning, return_exceptions=True)

    assert_within_budget(staged(story))


def test_what_a_command_did_is_asked_for_before_what_is_asked_now_and_then() -> None:
    """Also on a conference whose own periodic question waits at the back already."""

    async def story(stage: Stage) -> None:
        for number in range(1_000):
            stage.open(f"c{number % 5}", str(number), comes_back=True)
        await asyncio.sleep(60)
        queue = stage.reader.queue
        async with asyncio.timeout(60):
            while queue.waiting(Rank.WHENEVER) < 200:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        # The last to be asked for would be asked for in eight seconds.
        last = list(stage.reader.queue._by_key)[-1]
        conference = last.conference_id  # type: ignore[attr-defined]
        muted_at = now()
        stage.mute(conference)
        await asyncio.sleep(1)
        assert stage.asked_for(conference, muted_at)[0] - muted_at <= 0.5

    assert_within_budget(staged(story))


def test_a_quiet_time_asks_each_conference_every_half_minute_as_ever() -> None:
    async def story(stage: Stage) -> None:
        for number in range(100):
            stage.open("c", str(number))
        await asyncio.sleep(REFRESH_INTERVAL_S * 10)
        counts = Counter(it for _, it in stage.provider.asked)
        assert set(counts.values()) <= {2 * 10, 2 * 11}

    staged(story)


@pytest.mark.parametrize(("pages", "lists_fail"), [(1, True), (5, False)])
def test_requests_that_are_sent_again_and_further_pages_count_too(
    pages: int, lists_fail: bool
) -> None:
    async def story(stage: Stage) -> None:
        stage.provider.pages, stage.provider.lists_fail = pages, lists_fail
        for number in range(2_000):
            stage.open(f"c{number % 100}", str(number), comes_back=True)
        await asyncio.sleep(60)

    stage = staged(story)
    most = max(Counter(it for _, it in stage.provider.asked).values())
    assert most >= (3 if lists_fail else 1 + pages)
    # Repeats are counted when they have been sent, and those who come after wait for it.
    extra = RetryBudget()._balance_max if lists_fail else 1
    for number, (at, _) in enumerate(stage.provider.asked, 1):
        assert number <= BURST + PER_S * (at - stage.began) + extra


@given(
    st.lists(
        st.tuples(
            st.floats(0, 20, allow_subnormal=False),
            st.sampled_from("abc"),
            st.integers(0, 1_000),
            st.sampled_from([1, 300, 600]),
            st.sampled_from([False, False, True]),
        ),
        min_size=3,
        max_size=8,
    ),
    st.sampled_from([0.001, 0.1, 2.0]),
)
@settings(max_examples=10)
def test_no_story_costs_more_than_the_budget(
    waves: list[tuple[float, str, int, int, bool]], takes_s: float
) -> None:
    """So many begin to watch, or are acted on, at a moment, on a connection."""

    async def story(stage: Stage) -> None:
        stage.provider.takes_s = takes_s

        async def wave(at: float, connection: str, first: int, count: int, muted: bool) -> None:
            await asyncio.sleep(at)
            for number in range(first, first + count):
                if muted:
                    stage.mute(str(number))
                else:
                    stage.open(connection, str(number))

        await asyncio.gather(*(wave(*it) for it in waves))
        await asyncio.sleep(45)

    assert_within_budget(staged(story))


def test_a_refusal_says_when_to_come_back_and_is_counted(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    def answer(request: SentRequest) -> Answer:
        listed = request.path.endswith("/participants")
        return Answer(200, {"data": [] if listed else {"id": "c"}})

    provider.answer = answer
    gateway = start_gateway(provider.base_url, GATEWAY_WATCH_REQUESTS="1")
    streams = [
        gateway.events.WatchConference(WatchConferenceRequest(conference_id=str(number)))
        for number in range(5)
    ]
    assert all(next(it).HasField("snapshot") for it in streams)

    failure = failure_of(
        gateway.events.WatchConference, WatchConferenceRequest(conference_id="6"), timeout=1
    )

    assert failure.code.name == "RESOURCE_EXHAUSTED"
    assert failure.info.reason == "GATEWAY_OVERLOADED"
    assert "GATEWAY_WATCH_REQUESTS" in failure.message
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == RETRY_S
    assert gateway.gauge("gateway_watch_refused_total") == 1
    assert gateway.gauge(r'gateway_watch_waiting\{kind="prompt"\}') == 0
    assert gateway.gauge(r'gateway_watch_waiting\{kind="periodic"\}') == 0
    assert len(provider.requests) == 10
    for it in streams:
        it.cancel()
