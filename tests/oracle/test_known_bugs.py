"""The bugs that other watches had, as cases: a schedule of a few steps and what must come of it.

An event dropped when retention deletes at the subscribe boundary; progress ahead of events; cursors
used again across epochs; starvation by slow watchers.
"""

from pathlib import Path

import pytest

from gateway.journal.sqlite.reader import READERS
from tests.harness.events import new_event
from tests.oracle import schedule as s
from tests.oracle.held import HeldNews
from tests.oracle.history import Earliest, Opening, Place, Since, Stream
from tests.oracle.kept import LogFile
from tests.oracle.stepped import SteppedLoop, run_stepped
from tests.oracle.verdict import violations
from tests.oracle.world import Story, World

RETENTION_OVER = s.StepClock(s.RETENTION_S + 1)


def told(tmp_path: Path, *steps: s.Step, window: int = 4) -> Story:
    """What comes of some steps; no guarantee may be broken on the way."""

    async def run(loop: SteppedLoop) -> Story:
        made = s.Schedule(0, window, 3_600.0, False, False, steps)
        return await World(loop, LogFile(tmp_path / "log"), made).run()

    story: Story = run_stepped(run)
    assert violations(story.model, story.streams) == []
    return story


def numbers(stream: Stream) -> list[int]:
    return [seen.sequence for seen in stream.events()]


def ids(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


# Retention and a clock that was ahead


def test_events_from_the_future_do_not_end_the_retention(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 2)),
        s.StepClock(5_000),
        s.Append(ids(3, 5)),
        s.StepClock(-5_000),
        s.Append(ids(6, 8)),
        RETENTION_OVER,
        s.Append(ids(9, 9)),
        s.Prune(),
        s.Rest(),
    )

    (deletion,) = story.model.era.deletions
    assert (deletion.should, deletion.did) == (9, 9)


# Retention deletes at the subscribe boundary


@pytest.mark.parametrize("place", [Earliest(), Since(0)])
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_is_deleted_between_the_opening_and_the_first_read_is_told(
    tmp_path: Path, place: Place, goes_on: bool
) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 19)),
        s.Subscribe(Opening(place=place, goes_on=goes_on)),
        s.Stall(0),  # its first response is on its way while retention deletes
        s.Rest(),
        RETENTION_OVER,
        s.Append(ids(20, 22)),
        s.Prune(),
        s.Unstall(0),
    )

    (stream,) = story.streams
    assert stream.start == 0
    if goes_on:
        assert [it.gap.missed for it in stream.responses if it.gap] == [20]
        assert numbers(stream) == [21, 22, 23]
    else:
        assert stream.ended is not None
        assert (stream.ended.how, stream.ended.reason) == ("OUT_OF_RANGE", "CURSOR_EXPIRED")
        assert stream.ended.metadata["missed_events"] == "20"
        assert numbers(stream) == []


@pytest.mark.parametrize(("lost", "cursor"), [(0, 10), (1, 9), (2, 8)])
def test_a_cursor_at_the_boundary_loses_exactly_what_is_deleted(
    tmp_path: Path, lost: int, cursor: int
) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 9)),
        # Its cursors are those of 0, 1, 2 and so on: the first response, then one for each event.
        s.Subscribe(Opening(place=Earliest(), batch_max=1)),
        s.Rest(),
        RETENTION_OVER,
        s.Append(ids(10, 12)),
        s.Prune(),
        s.Subscribe(Opening(goes_on=True), old=cursor),
    )

    stream = story.streams[1]
    gap = stream.responses[0].gap
    assert (gap.missed if gap else 0) == lost
    assert numbers(stream) == [11, 12, 13]


def test_a_reader_in_the_window_keeps_what_retention_deletes_behind_it(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Subscribe(Opening()),
        s.Stall(0),
        s.Append(ids(0, 2)),
        RETENTION_OVER,
        s.Prune(),
        s.Unstall(0),
    )

    assert numbers(story.streams[0]) == [1, 2, 3]


# Progress ahead of events


def test_no_heartbeat_comes_before_events_that_are_due(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 39)),
        s.Subscribe(Opening(place=Earliest(), batch_max=1, heartbeat_s=1)),
        s.Stall(0),
        s.Rest(),
        s.Silence(60),  # many heartbeats are due, and all events
        s.Append(ids(40, 44)),
        s.Unstall(0),
    )

    (stream,) = story.streams
    cursors = [it.cursor.sequence for it in stream.responses if it.events]
    assert cursors == numbers(stream) == list(range(1, 46))


def test_a_stream_never_goes_back_behind_its_first_cursor(tmp_path: Path) -> None:
    """A time can be found in a commit that the feed has not been told of yet."""

    async def run(loop: SteppedLoop) -> None:
        async with HeldNews.opened(loop, tmp_path / "events.db", window=4) as held:
            news = [
                await held.committed(held.log.journal.append(new_event(received_at_us=at)))
                for at in (100, 200)
            ]
            stream = held.subscribe(Opening(place=Since(150)))
            await loop.rest()
            for tell in news:
                tell()
            await loop.rest()

            assert stream.start == 1
            assert [it.cursor.sequence for it in stream.responses] == [1, 2]
            assert numbers(stream) == [2]

    run_stepped(run)


def test_what_a_gap_told_is_not_sent_after_it(tmp_path: Path) -> None:
    """Retention can delete an event that the feed has not been told of yet."""

    async def run(loop: SteppedLoop) -> None:
        async with HeldNews.opened(loop, tmp_path / "events.db", window=4) as held:
            for _ in range(10):
                (await held.committed(held.log.journal.append(new_event())))()
            reader = held.reader()
            reader.stall()
            stream = held.subscribe(Opening(place=Earliest(), goes_on=True), reader)
            await loop.rest()
            news = [
                await held.committed(held.log.journal.append(new_event())),
                await held.committed(held.pruning()),
            ]
            reader.unstall()
            await loop.rest()
            for tell in news:
                tell()
            (await held.committed(held.log.journal.append(new_event())))()
            await loop.rest()

            assert [it.gap.to.sequence for it in stream.responses if it.gap] == [11]
            assert numbers(stream) == [12]
            cursors = [it.cursor.sequence for it in stream.responses]
            assert cursors == sorted(cursors)

    run_stepped(run)


# Cursors used again across epochs


def test_a_cursor_of_a_lost_log_is_refused_when_the_next_has_its_number(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 9)),
        s.Subscribe(Opening(place=Earliest())),
        s.Rest(),
        s.Replace(),
        # Other events under the same numbers, and more of them.
        s.Append(ids(20, 34)),
        s.Resume(0, Opening()),
        s.Rest(),
        s.Resume(0, Opening(goes_on=True)),
    )

    before, refused, resumed = story.streams
    assert refused.ended is not None
    assert (refused.ended.how, refused.ended.reason) == ("OUT_OF_RANGE", "EPOCH_CHANGED")
    gap = resumed.responses[0].gap
    assert gap is not None
    assert (gap.reason, gap.from_cursor) == ("EPOCH_CHANGED", before.cursors[-1])
    assert numbers(resumed) == list(range(1, 16))


def test_numbers_go_on_when_everything_was_deleted_and_the_process_died(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 4)),
        s.Subscribe(Opening(place=Earliest())),
        s.Rest(),
        RETENTION_OVER,
        s.Prune(),
        s.Crash(),
        s.Append(ids(5, 6)),
        s.Resume(0, Opening()),
    )

    _, resumed = story.streams
    assert numbers(resumed) == [6, 7]


# `live` is true when it is said


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_reader_that_retention_overtook_is_not_live(tmp_path: Path, goes_on: bool) -> None:
    story = told(
        tmp_path,
        s.Subscribe(Opening(goes_on=goes_on, batch_max=1)),
        s.Rest(),
        s.Stall(0),
        s.Append((0,)),
        s.Rest(),
        s.Append(ids(1, 9)),
        RETENTION_OVER,
        s.Append(ids(10, 39)),
        s.Prune(),
        s.Unstall(0),
    )

    (stream,) = story.streams
    assert [it.live for it in stream.responses if it.gap] == [False] * goes_on


def test_a_stream_that_ends_for_its_age_while_it_catches_up_is_not_live(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        s.Append(ids(0, 29)),
        s.Subscribe(Opening(place=Earliest(), batch_max=1)),
        s.Stall(0),
        s.Silence(3_601),
        s.Unstall(0),
    )

    last = story.streams[0].responses[-1]
    assert (last.drain, last.live) == ("MAX_AGE", False)
    assert last.cursor.sequence < 30


# Starvation by slow watchers


def test_readers_behind_keep_nothing_from_those_who_follow(tmp_path: Path) -> None:
    """With all threads that read from the log held up, and more readers waiting for one."""

    async def run(loop: SteppedLoop) -> None:
        async with HeldNews.opened(loop, tmp_path / "events.db", window=4) as held:
            for _ in range(50):
                (await held.committed(held.log.journal.append(new_event())))()
            released = held.hold_up_reading()
            behind = [held.subscribe(Opening(place=Earliest())) for _ in range(READERS * 3)]
            follows = held.subscribe(Opening())
            for _ in range(3):
                (await held.committed(held.log.journal.append(new_event())))()
                await loop.turn_until(lambda: follows.position == held.feed.newest)
            got_meanwhile = [numbers(stream) for stream in behind]

            released.set()
            await loop.rest()

            assert numbers(follows) == [51, 52, 53]
            assert got_meanwhile == [[]] * len(behind)
            assert [numbers(it) for it in behind] == [list(range(1, 54))] * len(behind)

    run_stepped(run)


def test_a_stalled_reader_keeps_nothing_from_the_others(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        *(s.Subscribe(Opening()) for _ in range(10)),
        s.Stall(3),
        s.Append(ids(0, 19)),
        # At rest everybody who reads must have everything; the stalled one reads in the end.
        s.Rest(),
        s.Append(ids(20, 39)),
        s.Rest(),
    )

    assert [numbers(stream) for stream in story.streams] == [list(range(1, 41))] * 10
    assert [len(stream.rests) for stream in story.streams] == [4, 4, 4, 2, 4, 4, 4, 4, 4, 4]
