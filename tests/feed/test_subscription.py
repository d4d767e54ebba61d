"""A subscription: all that matches, once and in order, from the log and live."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.events import Keys, NewEvent
from gateway.journal.filter import EVERYTHING, Filter, wake_keys_of
from tests.contract.homes import SQLITE
from tests.feed.stage import ALL, Given, Stage, next_of
from tests.harness.drawn import filters, keys
from tests.harness.events import KEYS, choosing, new_event
from tests.harness.loop import LoopThread


def test_a_subscriber_gets_what_comes_after_its_position(stage: Stage) -> None:
    stage.numbered(3)

    (delivery,) = stage.read(1)

    assert (delivery.sequences, delivery.position, delivery.live) == ([2, 3], 3, True)


def test_silence_moves_the_cursor_past_what_does_not_match(stage: Stage) -> None:
    stage.numbered(3, conference_id="c1")

    (delivery,) = stage.read(0, choosing(conference_id=["c2"]))

    assert (delivery.sequences, delivery.position) == ([], 3)


def test_a_subscriber_that_fell_out_of_the_window_reads_on_from_the_log(stage: Stage) -> None:
    stage.numbered(30)
    assert stage.window.start > 15

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
    commits: list[list[Keys]],
    wants: list[Filter],
    data: st.DataObject,
) -> None:
    """Heartbeats at any time, between events, rounds and looks; a window of ten events."""
    stage = Stage(loop, SQLITE, 10)
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
    events: list[Keys],
    after: int,
    wanted: Filter,
    batch: int,
    window: int,
) -> None:
    stage = Stage(loop, SQLITE, window)
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


def test_a_batch_is_bounded_in_bytes_and_loses_nothing(stage: Stage) -> None:
    stage.append(*[new_event("t" * 400_000) for _ in range(6)])

    assert stage.read_all(0, Filter(), 100) == [1, 2, 3, 4, 5, 6]
    assert stage.read(0)[0].sequences == [1, 2]


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
