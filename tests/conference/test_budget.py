"""What all watched conferences together cost the provider, and who waits for whom.

All of it is the gateway's own but the provider behind the client; the time is the test's.
"""

import asyncio
import logging
import math
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conferencing.v1.common_pb2 import REGION_UNSPECIFIED
from conferencing.v1.conference_service_pb2 import MuteParticipantsRequest
from gateway.conference.conferences import FIRST_WAIT_MAX_S, Conferences
from gateway.conference.errors import TooBusyError
from gateway.conference.fair_queue import Rank
from gateway.conference.reader import ConferenceRef
from gateway.conference.refresh import REFRESH_INTERVAL_S
from gateway.journal.filter import EVERYTHING
from gateway.server.statuses import WATCH_RETRY_S
from gateway.upstream.client import TelnyxClient
from gateway.upstream.conferences import RestConferences
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpRequest, HttpResponse
from tests.conference.fakes import LoopTime, PostedEvents
from tests.harness.virtual_time import run_in_virtual_time

PER_S = 50
BURST = 500
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


class Watcher:
    """Somebody on a connection who watches a conference."""

    def __init__(self, connection: str, conference: str, patience_s: float = math.inf) -> None:
        self.conference = conference
        self.connection = connection
        self.patience_s = patience_s
        # When its state came.
        self.snapshot_at: float | None = None


class Stage:
    def __init__(self) -> None:
        self.provider = CountingProvider()
        limited = LimitedTransport(self.provider, now=now)
        sending = Sending(
            limited, RetryPolicy(), RetryBudget(), random.Random(1), lambda attempt: None, now=now
        )
        rest = RestConferences(TelnyxClient(sending, "http://provider/v2", "KEY", "test"))
        self.conferences = Conferences(PostedEvents(), rest, 10, PER_S, LoopTime())
        self.queue = self.conferences.queue
        self.began = now()
        self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def watch(self, watcher: Watcher) -> None:
        ref = ConferenceRef(watcher.conference, REGION_UNSPECIFIED)
        async with self.conferences.watch(
            ref, EVERYTHING, watcher.connection, watcher.patience_s
        ) as watch:
            watcher.snapshot_at = now()
            while True:
                await watch.next(60)

    def open(self, *args: Any, comes_back: bool = False) -> Watcher:
        """Begin to watch; refused, to come back when a caller is told to."""
        watcher = Watcher(*args)

        async def watch() -> None:
            while True:
                try:
                    await self.watch(watcher)
                except TooBusyError:
                    self.refused += 1
                    if not comes_back:
                        return
                    await asyncio.sleep(WATCH_RETRY_S)

        self._tasks.append(asyncio.create_task(watch()))
        return watcher

    def mute(self, conference: str) -> None:
        """Have a command pass through the gateway."""
        self.conferences.command_accepted(MuteParticipantsRequest(conference_id=conference))

    def asked_for(self, conference: str, since: float = 0) -> list[float]:
        return [at for at, it in self.provider.asked if it == conference and at >= since]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.conferences.close()


def staged(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    async def run() -> Stage:
        stage = Stage()
        await story(stage)
        await stage.close()
        assert stage.queue.waiting(Rank.PROMPT) == 0
        assert stage.queue.waiting(Rank.WHENEVER) == 0
        return stage

    return run_in_virtual_time(run())


def assert_within_budget(stage: Stage) -> None:
    for number, (at, _) in enumerate(stage.provider.asked, 1):
        assert number <= BURST + PER_S * (at - stage.began) + 1


@pytest.fixture(autouse=True)
def _no_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Refusals are a line each, which a running gateway keeps to one a second."""
    caplog.set_level(logging.ERROR)


@pytest.mark.slow
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
        assert stage.refused >= 4_000

        honest = stage.open("honest", "meeting")
        opened_at = now()
        await asyncio.sleep(15)
        assert honest.snapshot_at is not None
        # Each of the others has its turn before, and one in ten is left to those at the back.
        a_round_s = (connections + 2) * 2 / PER_S * 10 / 9
        assert honest.snapshot_at - opened_at <= a_round_s + 0.2

        # More and more of the conferences wait to be asked for again, and each of them once.
        await asyncio.sleep(20)
        assert stage.queue.waiting(Rank.WHENEVER) >= 100
        muted_at = now()
        stage.mute("meeting")
        await asyncio.sleep(10)
        assert stage.asked_for("meeting", muted_at)[0] - muted_at <= a_round_s + 0.2
        assert stage.queue.waiting(Rank.WHENEVER) <= 5_001
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
        assert not stage.refused

    staged(story)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("given_s", [math.inf, 1.0])
def test_who_would_wait_too_long_is_refused_at_once(given_s: float) -> None:
    patience_s = min(given_s, FIRST_WAIT_MAX_S)

    async def story(stage: Stage) -> None:
        watchers = [stage.open("c", str(number), given_s) for number in range(1_000)]
        await asyncio.sleep(0.001)
        refused = stage.refused
        assert stage.queue.refused == refused
        assert 1_000 - refused == pytest.approx((BURST + PER_S * patience_s) / 2, abs=2)
        await asyncio.sleep(patience_s + 0.1)
        # And nobody who was not refused then is refused later.
        assert sum(it.snapshot_at is not None for it in watchers) == 1_000 - refused

    staged(story)


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_a_command_did_is_asked_for_before_what_is_asked_now_and_then() -> None:
    """Also on a conference whose own periodic question waits at the back already."""

    async def story(stage: Stage) -> None:
        for number in range(1_000):
            stage.open(f"c{number % 5}", str(number), comes_back=True)
        await asyncio.sleep(60)
        queue = stage.queue
        async with asyncio.timeout(60):
            while queue.waiting(Rank.WHENEVER) < 200:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        # The last to be asked for would be asked for in eight seconds.
        last: Any = list(stage.queue._by_key)[-1]
        conference = last.conference_id
        muted_at = now()
        stage.mute(conference)
        await asyncio.sleep(1)
        assert stage.asked_for(conference, muted_at)[0] - muted_at <= 0.5

    assert_within_budget(staged(story))


@pytest.mark.slow
def test_who_acts_on_many_conferences_makes_others_wait_for_one_of_them() -> None:
    async def story(stage: Stage) -> None:
        for number in range(400):
            stage.open("greedy", str(number))
        stage.open("honest", "meeting")
        await asyncio.sleep(25)
        for _ in range(2):
            for number in range(400):
                stage.mute(str(number))
            await asyncio.sleep(1)
        muted_at = now()
        stage.mute("meeting")
        await asyncio.sleep(2)
        assert stage.asked_for("meeting", muted_at)[0] - muted_at <= 0.2

    assert_within_budget(staged(story))


@pytest.mark.slow
def test_a_quiet_time_asks_each_conference_every_half_minute_as_ever() -> None:
    async def story(stage: Stage) -> None:
        for number in range(100):
            stage.open("c", str(number))
        await asyncio.sleep(REFRESH_INTERVAL_S * 10)
        counts = Counter(it for _, it in stage.provider.asked)
        assert set(counts.values()) <= {2 * 10, 2 * 11}

    staged(story)


@pytest.mark.slow
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
    extra = RetryBudget().balance_max if lists_fail else 1
    for number, (at, _) in enumerate(stage.provider.asked, 1):
        assert number <= BURST + PER_S * (at - stage.began) + extra


@pytest.mark.slow
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
