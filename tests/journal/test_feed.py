"""The feed: positions, the window, the seam between window and log, and who is woken."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import ListEventsResponse, SubscribeResponse
from gateway.feed import frames
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.start import Loss, LossReason, Start
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from gateway.journal.events import Entry, Framed, Keys, NewEvent
from gateway.journal.filter import ANY_EVENT, EVERYTHING, Filter, wake_keys_of
from gateway.journal.ports import Index
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, KEYS, choosing, keys_of, new_event
from tests.harness.loop import LoopThread
from tests.oracle.stepped import SteppedLoop, run_stepped

ALL = Filter()
EPOCH = b"this log"
CONFERENCES = ["c1", "c2", ""]
TYPES = ["conference.created", "conference.participant.joined", "call.enqueued"]

keys = st.builds(
    keys_of,
    type=st.sampled_from(TYPES),
    conference_id=st.sampled_from(CONFERENCES),
    call_control_id=st.sampled_from(["k1", "k2", ""]),
    queue_name=st.sampled_from(["q1", ""]),
)
filters = st.builds(
    choosing,
    type=st.frozensets(
        st.sampled_from([*TYPES, "conference.*", "call.*", "conference.p*"]), max_size=4
    ),
    conference_id=st.frozensets(st.sampled_from(["c1", "c2", "c3"]), max_size=2),
    call_control_id=st.frozensets(st.sampled_from(["k1", "k2"]), max_size=2),
    queue_name=st.frozensets(st.sampled_from(["q1", "q2"]), max_size=1),
)


@given(filters, keys)
def test_a_matching_event_wakes_by_at_least_one_key(wanted: Filter, event: Keys) -> None:
    if wanted.matches(event):
        assert set(wanted.wake_keys()) & set(wake_keys_of(event))


@given(st.lists(keys, min_size=1, max_size=60), filters, st.data())
def test_the_window_finds_what_a_scan_finds(
    events: list[Keys], wanted: Filter, data: st.DataObject
) -> None:
    window = Window(100, entries_max=20)
    entries = [Entry(Framed(101 + number, b"frame"), event) for number, event in enumerate(events)]
    while entries:
        count = data.draw(st.integers(1, len(entries)))
        window.extend(entries[:count])
        held = list(zip(window._frames, window._keys, strict=True))
        position = data.draw(st.integers(window.start, window.newest))
        limit = data.draw(st.integers(1, 30))
        del entries[:count]

        found = window.after(position, wanted, limit)

        scanned = [it for it, keys in held if it.sequence > position and wanted.matches(keys)]
        assert found == scanned[:limit]
        assert [it.sequence for it, _ in held] == list(range(window.start + 1, window.newest + 1))
        assert len(held) <= 20


def test_the_window_keeps_no_more_than_its_bounds() -> None:
    by_count, by_size = Window(0, entries_max=10), Window(0, entries_max=10**6, bytes_max=1_000)
    for number in range(1, 500):
        for window in (by_count, by_size):
            keys = keys_of(type="t", conference_id=f"c{number}")
            window.extend([Entry(Framed(number, bytes(50)), keys)])

    assert by_count.newest - by_count.start <= 10
    assert (by_size.newest - by_size.start) * 50 <= 1_000
    assert sum(map(len, by_count._by_key.values())) <= 11


# Frames


@given(st.lists(st.tuples(st.text(max_size=300), st.integers(1, 2**60)), max_size=5), st.booleans())
def test_joined_frames_are_a_response_that_generated_code_reads(
    events: list[tuple[str, int]], live: bool
) -> None:
    framing = frames.EventFraming(EPOCH)
    stored = [
        b"".join(framing.frame(number, Event(id=id_, type="t").SerializeToString()))
        for id_, number in events
    ]
    expected = [
        Event(id=id_, type="t", sequence=number, cursor=str(Cursor(EPOCH, number)))
        for id_, number in events
    ]

    rest = SubscribeResponse(cursor="x", live=live).SerializeToString()
    response = SubscribeResponse.FromString(frames.joined(stored, rest))

    assert list(response.events) == expected
    assert (response.cursor, response.live) == ("x", live)
    page = ListEventsResponse(next_page_token="n").SerializeToString()
    assert list(ListEventsResponse.FromString(frames.joined(stored, page)).events) == expected
    for frame, event in zip(stored, expected, strict=True):
        assert Event.FromString(frames.event_of(frame)) == event
        event.raw_json = b"raw"
        with_raw = frames.joined([frames.with_raw(frame, b"raw")], b"")
        assert list(SubscribeResponse.FromString(with_raw).events) == [event]


def test_the_field_numbers_are_those_of_the_protos() -> None:
    fields = Event.DESCRIPTOR.fields_by_name
    assert fields["cursor"].number == frames.EVENT_CURSOR
    assert fields["sequence"].number == frames.EVENT_SEQUENCE
    assert fields["raw_json"].number == frames.EVENT_RAW_JSON
    for response in (SubscribeResponse, ListEventsResponse):
        assert response.DESCRIPTOR.fields_by_name["events"].number == frames.RESPONSE_EVENTS


# The feed over a real log


class Given(NamedTuple):
    """What a subscriber was given, and how it stood then."""

    sequences: list[int]
    position: int
    live: bool
    drained: bool


async def next_of(subscription: Subscription, timeout: float) -> Given:
    batch = await subscription.next(timeout)
    numbers = [it.sequence for it in batch.frames]
    return Given(numbers, batch.through, subscription.live, subscription.drained)


RETENTION = Retention(100, 2**40)


class Stage:
    """A log, a feed with a small window, and readers of it."""

    def __init__(self, loop: LoopThread, folder: Path, window: int) -> None:
        self._loop = loop
        self.clock = ManualClock()
        self.log = loop.run(open_log(folder / "events.db", FORMAT))
        self.feed = loop.call(lambda: Feed(self.log.index, Window(0, entries_max=window)))

    def append(self, *events: Any) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*map(self.log.journal.append, events))

        self._loop.run(all_at_once())

    def numbered(self, count: int, **keys: Any) -> None:
        self.append(*[new_event(**keys) for _ in range(count)])

    def read(
        self, after: int, wanted: Filter = ALL, *, batch: int = 100, deliveries: int = 1
    ) -> list[Given]:
        async def read() -> list[Given]:
            with self.feed.subscribe(wanted, EVERYTHING, after, batch) as subscription:
                return [await next_of(subscription, 0.05) for _ in range(deliveries)]

        return self._loop.run(read())

    def read_all(self, after: int, wanted: Filter, batch: int) -> list[int]:
        async def read() -> list[int]:
            got: list[int] = []
            with self.feed.subscribe(wanted, EVERYTHING, after, batch) as subscription:
                while subscription.position < self.feed.newest:
                    delivery = await next_of(subscription, 0.05)
                    got += delivery.sequences
            return got

        return self._loop.run(read())

    def run(self, coroutine: Any) -> Any:
        return self._loop.run(coroutine)

    def close(self) -> None:
        self._loop.run(self.log.close())


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(loop, tmp_path, window=10)
    yield stage
    stage.close()


def test_a_subscriber_gets_what_comes_after_its_position(stage: Stage) -> None:
    stage.numbered(3)

    (delivery,) = stage.read(1)

    assert (delivery.sequences, delivery.position, delivery.live) == ([2, 3], 3, True)


def test_a_sleeping_subscriber_is_woken(stage: Stage) -> None:
    async def sleep_and_wake() -> Given:
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 100) as subscription:
            waiting = asyncio.create_task(next_of(subscription, 3_600))
            await stage.log.journal.append(new_event())
            return await waiting

    assert stage.run(sleep_and_wake()).sequences == [1]


def test_the_newest_event_is_known_however_long_the_pause_between_rounds(stage: Stage) -> None:
    async def append_in_a_pause() -> tuple[int, list[int]]:
        crowd = [stage.feed.subscribe(ALL, EVERYTHING, 0, 100) for _ in range(500)]
        for subscription in crowd:
            subscription.__enter__()
        sleeping = [asyncio.create_task(next_of(it, 3_600)) for it in crowd]
        await asyncio.sleep(0)
        await stage.log.journal.append(new_event())
        await asyncio.gather(*sleeping)
        await stage.log.journal.append(new_event())
        newest = stage.feed.newest
        # Who asks now is served now.
        with stage.feed.subscribe(ALL, EVERYTHING, 1, 100) as latecomer:
            return newest, (await next_of(latecomer, 3_600)).sequences

    assert stage.run(append_in_a_pause()) == (2, [2])


def test_a_heartbeat_has_the_newest_cursor_however_long_the_pause(stage: Stage) -> None:
    async def beat_in_a_pause() -> int:
        crowd = [stage.feed.subscribe(ALL, EVERYTHING, 0, 100) for _ in range(500)]
        for subscription in crowd:
            subscription.__enter__()
        await stage.log.journal.append(new_event(conference_id="c1"))
        await stage.log.journal.append(new_event(conference_id="c1"))
        with stage.feed.subscribe(choosing(conference_id=["c2"]), EVERYTHING, 1, 9) as quiet:
            assert (await next_of(quiet, 0.001)).position == 2
            await stage.log.journal.append(new_event(conference_id="c1"))
            return (await next_of(quiet, 0.001)).position

    assert stage.run(beat_in_a_pause()) == 3


def test_only_those_who_want_an_event_are_woken(stage: Stage) -> None:
    woken: list[str] = []

    class Watched(Subscription):
        name = ""

        def wake(self) -> bool:
            woken.append(self.name)
            return super().wake()

    wants = {
        "c1": choosing(conference_id=["c1"]),
        "c2": choosing(conference_id=["c2"]),
        "type": choosing(type=["call.enqueued"]),
        "queue": choosing(queue_name=["q"]),
        "all": Filter(),
    }

    async def subscribe_and_append() -> None:
        for name, wanted in wants.items():
            subscription = Watched(
                stage.feed._dispatcher, stage.log.index, wanted, EVERYTHING, 0, 100
            )
            subscription.name = name
            subscription.__enter__()
        await stage.log.journal.append(new_event("conference.created", conference_id="c1"))

    stage.run(subscribe_and_append())

    assert sorted(woken) == ["all", "c1"]


def test_silence_moves_the_cursor_past_what_does_not_match(stage: Stage) -> None:
    stage.numbered(3, conference_id="c1")

    (delivery,) = stage.read(0, choosing(conference_id=["c2"]))

    assert (delivery.sequences, delivery.position) == ([], 3)


def test_a_subscriber_that_fell_out_of_the_window_reads_on_from_the_log(stage: Stage) -> None:
    stage.numbered(30)
    assert stage.feed._dispatcher.window.start > 15

    deliveries = stage.read(0, batch=5, deliveries=7)

    got = [number for delivery in deliveries for number in delivery.sequences]
    assert got == list(range(1, 31))[: len(got)]
    assert [delivery.live for delivery in deliveries[:3]] == [False, False, False]
    assert deliveries[-1].live


def test_a_sleeper_stays_live_however_much_passes_that_is_not_for_it(stage: Stage) -> None:
    quiet = choosing(conference_id=["c2"])

    async def sleep_through(count: int) -> tuple[list[Given], list[Given]]:
        read = stage.log.index.read
        with (
            stage.feed.subscribe(quiet, EVERYTHING, 0, 9) as asleep,
            stage.feed.subscribe(quiet, EVERYTHING, 0, 9) as woken,
        ):
            first = [await next_of(it, 0.001) for it in (asleep, woken)]
            # Nothing need be read to know that nothing matched.
            stage.log.index.read = None  # type: ignore[method-assign,assignment]
            waiting = asyncio.create_task(next_of(woken, 3_600))
            for _ in range(count):
                await stage.log.journal.append(new_event(conference_id="c1"))
            beat = await next_of(asleep, 0.001)
            await stage.log.journal.append(new_event(conference_id="c2"))
            later = [beat, await waiting, await next_of(asleep, 3_600)]
            stage.log.index.read = read  # type: ignore[method-assign]
            return first, later

    first, (beat, event, same) = stage.run(sleep_through(30))

    assert [it.live for it in first] == [True, True]
    assert (beat.live, beat.position, beat.sequences) == (True, 30, [])
    assert (event.live, event.sequences) == (True, [31])
    assert (same.live, same.sequences) == (True, [31])


def event_with(keys: Keys) -> NewEvent:
    named = {key.name: value for key, value in zip(KEYS, keys, strict=True)}
    return new_event(named.pop("type"), **named)  # type: ignore[arg-type]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(keys, min_size=1, max_size=4), min_size=4, max_size=10),
    st.lists(filters, min_size=1, max_size=4),
    st.data(),
)
def test_whoever_keeps_up_is_live_and_is_given_what_a_scan_gives(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[list[Keys]],
    wants: list[Filter],
    data: st.DataObject,
) -> None:
    """Heartbeats at any time, between events, rounds and looks; a window of ten events."""
    stage = Stage(loop, tmp_path_factory.mktemp("live"), 10)
    beats = [data.draw(st.sets(st.integers(0, len(wants) - 1))) for _ in commits]

    async def follow() -> list[list[int]]:
        got: list[list[int]] = [[] for _ in wants]
        subscriptions = [stage.feed.subscribe(wanted, EVERYTHING, 0, 100) for wanted in wants]
        for subscription in subscriptions:
            subscription.__enter__()

        async def look(number: int) -> None:
            delivery = await next_of(subscriptions[number], 0)
            got[number] += delivery.sequences
            assert delivery.live

        for number in range(len(wants)):
            await look(number)
        stage.log.index.read = None  # type: ignore[method-assign,assignment]
        for commit, beating in zip(commits, beats, strict=True):
            await asyncio.gather(*map(stage.log.journal.append, map(event_with, commit)))
            has = {key for event in commit for key in wake_keys_of(event)}
            for number, wanted in enumerate(wants):
                # Whoever sleeps is woken by the keys it has.
                if number in beating or not has.isdisjoint(wanted.wake_keys()):
                    await look(number)
        for number in range(len(wants)):
            await look(number)
        return got

    try:
        got = stage.run(follow())
    finally:
        stage.close()
    events = [event for commit in commits for event in commit]
    assert got == [
        [number for number, event in enumerate(events, 1) if wanted.matches(event)]
        for wanted in wants
    ]


def test_nothing_is_missed_or_doubled_at_the_seam(stage: Stage) -> None:
    stage.numbered(25)

    async def read_while_writing() -> list[int]:
        got: list[int] = []
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 3) as subscription:
            for _ in range(40):
                got += (await next_of(subscription, 0.05)).sequences
                if len(got) < 60:
                    await stage.log.journal.append(new_event())
            while subscription.position < stage.feed.newest:
                got += (await next_of(subscription, 0.05)).sequences
        return got

    got = stage.run(read_while_writing())
    assert got == list(range(1, len(got) + 1))
    assert len(got) == stage.feed.newest


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(keys, max_size=40), st.integers(0, 40), filters, st.integers(1, 7), st.integers(2, 12)
)
def test_every_subscriber_gets_exactly_what_matches_in_order(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Keys],
    after: int,
    wanted: Filter,
    batch: int,
    window: int,
) -> None:
    stage = Stage(loop, tmp_path_factory.mktemp("oracle"), window)
    try:
        for event in events:
            stage.append(event_with(event))
        after = min(after, len(events))

        expected = [
            number
            for number, event in enumerate(events, 1)
            if number > after and wanted.matches(event)
        ]
        assert stage.read_all(after, wanted, batch) == expected
    finally:
        stage.close()


def test_being_woken_in_vain_does_not_put_off_a_heartbeat(stage: Stage) -> None:
    wanted = choosing(type=["nothing.*"])  # has no key of its own: everything wakes it

    async def wait_among_others() -> int:
        wakes = 0
        with stage.feed.subscribe(wanted, EVERYTHING, 0, 9) as subscription:
            waiting = asyncio.create_task(next_of(subscription, 0.2))
            while not waiting.done():
                await stage.log.journal.append(new_event())
                wakes += 1
            return wakes

    assert stage.run(wait_among_others()) > 1


@pytest.mark.parametrize("slept_s", [10.0, 300.0])
def test_traffic_moves_the_heartbeat(slept_s: float) -> None:
    """Neither is it due when the sleep before was to end: sooner, or later."""
    listeners: list[Callable[[Sequence[Entry]], None]] = []
    log = SimpleNamespace(epoch=bytes(8), span=Span(1, 0), listen=listeners.append)

    async def beat_after_traffic(loop: SteppedLoop) -> None:
        async def pass_on(seconds: float) -> None:
            loop.advance(seconds)
            for _ in range(9):
                await asyncio.sleep(0)

        feed = Feed(cast(Index, log))
        with feed.subscribe(ALL, EVERYTHING, 0, 9) as subscription:
            waiting = asyncio.create_task(next_of(subscription, slept_s))
            await pass_on(0.0)
            await pass_on(6.0)
            for tell in listeners:
                tell([Entry(Framed(1, b"frame"), keys_of(type="t"))])
            assert (await waiting).sequences == [1]

            waiting = asyncio.create_task(next_of(subscription, 10.0))
            await pass_on(0.0)
            await pass_on(9.9)
            assert not waiting.done()
            await pass_on(0.2)
            assert waiting.done()
            assert waiting.result().sequences == []

    run_stepped(beat_after_traffic)


def test_a_drain_is_told_to_everybody(stage: Stage) -> None:
    async def sleep_and_drain() -> Sequence[Given]:
        with (
            stage.feed.subscribe(Filter(), EVERYTHING, 0, 9) as asleep,
            stage.feed.subscribe(Filter(), EVERYTHING, 0, 9) as late,
        ):
            # Far longer than the test may take: only the drain can end the wait.
            waiting = asyncio.create_task(next_of(asleep, 3_600))
            await asyncio.sleep(0)
            stage.feed.drain()
            return await waiting, await next_of(late, 3_600)

    assert [delivery.drained for delivery in stage.run(sleep_and_drain())] == [True, True]


def test_a_drain_delivers_first_what_has_come(stage: Stage) -> None:
    stage.numbered(5)

    async def drain_with_events_waiting() -> list[tuple[list[int], bool]]:
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 3) as subscription:
            stage.feed.drain()
            await stage.log.journal.append(new_event())
            ended = [await next_of(subscription, 3_600) for _ in range(3)]
            return [(it.sequences, it.drained) for it in ended]

    assert stage.run(drain_with_events_waiting()) == [
        ([1, 2, 3], False),
        ([4, 5, 6], False),
        ([], True),
    ]


def test_a_drain_does_not_wait_for_what_does_not_match(stage: Stage) -> None:
    stage.numbered(5)
    other = choosing(conference_id=["another"])

    async def drain_behind_other_events() -> bool:
        with stage.feed.subscribe(other, EVERYTHING, 2, 3) as subscription:
            stage.feed.drain()
            return (await next_of(subscription, 3_600)).drained

    assert stage.run(drain_behind_other_events())


def test_nothing_is_left_of_a_subscription_that_ended(stage: Stage) -> None:
    stage.read(0, choosing(conference_id=["c1"]))
    stage.read(0)

    assert stage.feed.subscribers == 0
    assert stage.feed._dispatcher._sleepers == {}


def test_retention_that_overtakes_a_reader_is_told(stage: Stage) -> None:
    stage.numbered(30)
    stage.clock.advance(10**6)
    stage.run(stage.log.index.prune(RETENTION, stage.clock()))
    stage.numbered(1)

    async def read_on() -> tuple[Loss, Given]:
        with stage.feed.subscribe(ALL, EVERYTHING, 5, 100) as subscription:
            with pytest.raises(EventsLostError) as raised:
                await subscription.next(20)
            return raised.value.loss, await next_of(subscription, 20)

    loss, after = stage.run(read_on())

    assert (loss.reason, loss.missed, loss.position) == (LossReason.CURSOR_EXPIRED, 25, 30)
    assert after.sequences == [31]


def test_cursors_become_positions_or_say_what_is_lost(stage: Stage) -> None:
    stage.numbered(30)
    stage.clock.advance(10**6)
    stage.run(stage.log.index.prune(RETENTION, stage.clock()))
    stage.numbered(2)
    epoch = stage.log.journal.epoch

    def start(epoch: bytes, sequence: int) -> Start:
        return stage.feed.after_cursor(str(Cursor(epoch, sequence)))

    assert start(epoch, 30) == Start(30)
    assert start(epoch, 32) == Start(32)
    for cursor, reason, missed in (
        ((epoch, 29), LossReason.CURSOR_EXPIRED, 1),
        ((epoch, 33), LossReason.CURSOR_AHEAD, None),
        ((b"otherlog", 31), LossReason.EPOCH_CHANGED, None),
    ):
        found = start(*cursor)
        assert found.loss is not None
        assert (found.loss.reason, found.loss.missed, found.position) == (reason, missed, 30)


def test_a_batch_is_bounded_in_bytes_and_loses_nothing(stage: Stage) -> None:
    assert frames.fitting([b"12", b"34", b"56"], 4) == 2
    assert frames.fitting([b"12345", b"6"], 4) == 1
    assert frames.fitting([b"12", b"34"], 4) == 2
    assert frames.fitting([], 4) == 0

    stage.append(*[new_event("t" * 400_000) for _ in range(6)])
    assert stage.read_all(0, Filter(), 100) == [1, 2, 3, 4, 5, 6]
    assert stage.read(0)[0].sequences == [1, 2]


def test_everything_is_one_key() -> None:
    assert Filter().wake_keys() == (ANY_EVENT,)
    assert choosing(type=["conference.*"]).wake_keys() == (ANY_EVENT,)


@pytest.mark.parametrize(
    ("held", "limit", "bytes_max"), [(7, 10, 10**6), (30, 10, 10**6), (9, 10, 300), (0, 10, 10)]
)
def test_a_feed_that_is_opened_again_has_the_newest_events_in_memory(
    stage: Stage, held: int, limit: int, bytes_max: int
) -> None:
    for number in range(held):
        stage.numbered(1, conference_id=f"c{number % 3}")
    stored = stage.run(stage.log.index.read(0, ALL, 100, EVERYTHING)).frames

    window = stage.run(Window.of(stage.log.index, limit, bytes_max))

    fits = [
        it for it in stored if sum(len(o.frame) for o in stored[it.sequence - 1 :]) <= bytes_max
    ]
    expected = fits[-limit:]
    assert window.newest == held
    assert window.start == held - len(expected)
    assert window.after(window.start, ALL, 100) == expected
    wanted = choosing(conference_id=["c1"])
    assert window.after(window.start, wanted, 100) == [
        it for it in expected if it.sequence % 3 == 2
    ]


def test_a_subscriber_gets_only_what_it_may_see_from_the_log_and_live(stage: Stage) -> None:
    mine = choosing(connection_id=["mine"])
    for number in range(30):
        stage.numbered(1, connection_id="mine" if number % 3 == 0 else "theirs")

    async def follow() -> list[int]:
        got: list[int] = []
        with stage.feed.subscribe(ALL, mine, 0, 4) as subscription:
            while subscription.position < 30:
                got += (await next_of(subscription, 20)).sequences
            waiting = asyncio.create_task(next_of(subscription, 3_600))
            await stage.log.journal.append(new_event(connection_id="theirs"))
            await stage.log.journal.append(new_event(connection_id="mine"))
            return got + (await waiting).sequences

    assert stage.run(follow()) == [*range(1, 31, 3), 32]
