"""A log that begins anew while it is followed: nobody takes a number of one log for the other's."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.feed.dispatch import Dispatcher
from gateway.feed.errors import EventsLostError
from gateway.feed.start import Loss, LossReason, of_one_log
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry, Framed
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.reading import Span
from tests.feed.anew import FIRST, SECOND, WINDOW, AnewStage
from tests.feed.stage import ALL, next_of
from tests.harness.events import choosing, keys_of, new_event
from tests.harness.loop import LoopThread


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[AnewStage]:
    stage = AnewStage(loop, tmp_path / "index.db")
    yield stage
    stage.close()


def _lost(error: EventsLostError) -> tuple[LossReason, str, str]:
    return error.loss.reason, error.loss.from_cursor, error.oldest_cursor


async def _lost_by(subscription: Subscription) -> tuple[LossReason, str, str]:
    with pytest.raises(EventsLostError) as error:
        await subscription.next(20)
    return _lost(error.value)


@pytest.mark.parametrize("position", [3, 1, 0])
def test_who_follows_hears_that_the_log_is_another_and_can_go_on_in_it(
    stage: AnewStage, position: int
) -> None:
    """It may have seen everything, and sleep, or be on its way."""
    stage.take("one", "two", "three")

    async def follow() -> None:
        with stage.feed.subscribe(ALL, EVERYTHING, position, 100) as subscription:
            await stage.copy.begin_anew(SECOND, 7)

            lost = await _lost_by(subscription)

            reason, old, new = LossReason.EPOCH_CHANGED, Cursor(FIRST, position), Cursor(SECOND, 7)
            assert lost == (reason, str(old), str(new))
            assert subscription.position == 7
            assert subscription.cursors.text(8) == str(Cursor(SECOND, 8))
            await stage.copy.take(8, [new_event(id_="eight")])
            assert (await next_of(subscription, 20)).sequences == [8]

    stage.loop.run(follow())


def test_who_sleeps_is_woken_for_it(stage: AnewStage) -> None:
    stage.take("one")

    async def follow() -> tuple[LossReason, str, str]:
        wanted = choosing(conference_id=["c9"])
        with stage.feed.subscribe(wanted, EVERYTHING, 1, 100) as subscription:
            sleeping = asyncio.create_task(_lost_by(subscription))
            await asyncio.sleep(0)
            await stage.copy.begin_anew(SECOND, 0)
            return await asyncio.wait_for(sleeping, 10)

    assert stage.loop.run(follow())[0] is LossReason.EPOCH_CHANGED


def test_who_reads_from_the_log_hears_of_it_too(stage: AnewStage) -> None:
    stage.take(*[f"e{it}" for it in range(WINDOW * 3)])

    async def follow() -> None:
        with stage.feed.subscribe(ALL, EVERYTHING, 0, 5) as subscription:
            assert (await next_of(subscription, 20)).sequences == [1, 2, 3, 4, 5]
            assert subscription.is_behind
            await stage.copy.begin_anew(SECOND, 0)
            await stage.copy.take(1, [new_event(id_=f"o{it}") for it in range(WINDOW * 3)])

            lost = await _lost_by(subscription)

            assert lost == (
                LossReason.EPOCH_CHANGED,
                str(Cursor(FIRST, 5)),
                str(Cursor(SECOND, 0)),
            )
            assert (await next_of(subscription, 20)).sequences == [1, 2, 3, 4, 5]

    stage.loop.run(follow())


def test_cursors_of_the_log_that_was_are_refused_and_new_ones_are_made(stage: AnewStage) -> None:
    stage.take("one", "two")
    before = stage.feed.cursor()

    stage.begin_anew()
    stage.take("other", "another", "more")

    start = stage.loop.run(stage.feed.start_after(before, 1.0))
    assert start.loss is not None
    assert start.loss.reason is LossReason.EPOCH_CHANGED
    assert stage.feed.cursor() == str(Cursor(SECOND, 3))
    assert (stage.feed.newest, stage.feed.oldest) == (3, 1)


def test_who_subscribes_then_gets_what_the_new_log_has(stage: AnewStage) -> None:
    stage.take("one", "two")
    stage.begin_anew()
    stage.take("other")

    async def follow() -> list[int]:
        with stage.feed.subscribe(ALL, EVERYTHING, 0, 100) as subscription:
            return (await next_of(subscription, 20)).sequences

    assert stage.loop.run(follow()) == [1]


def test_what_is_read_over_two_logs_is_refused(stage: AnewStage) -> None:
    with pytest.raises(LogUnavailableError, match="begun anew"), of_one_log(stage.copy):
        stage.begin_anew()
    with of_one_log(stage.copy):
        stage.take("one")


def test_a_drain_lets_go_who_has_gone_on_in_another_log(stage: AnewStage) -> None:
    stage.take("one", "two")

    async def follow() -> bool:
        with stage.feed.subscribe(ALL, EVERYTHING, 2, 100) as subscription:
            stage.feed.drain()
            await stage.copy.begin_anew(SECOND, 0)
            await _lost_by(subscription)
            return (await next_of(subscription, 20)).drained

    assert stage.loop.run(follow())


def test_the_index_begins_anew_in_its_file(stage: AnewStage) -> None:
    stage.take("one", "two")

    stage.begin_anew(after=41)

    assert (stage.copy.epoch, stage.copy.span) == (SECOND, Span(42, 41))
    assert stage.loop.run(stage.copy.find("one", EVERYTHING)) is None


async def _loss_of(subscription: Subscription) -> Loss:
    """Read until something is lost."""
    try:
        while True:
            await subscription.next(20)
    except EventsLostError as error:
        return error.loss


@pytest.mark.parametrize("wanted", [ALL, choosing(conference_id=["c9"])])
@pytest.mark.parametrize("looks_between", [True, False])
def test_a_hole_in_the_log_is_a_loss_for_whoever_follows(
    stage: AnewStage, wanted: Filter, looks_between: bool
) -> None:
    """Whatever it wants: among what is missing may have been just that."""

    async def follow() -> tuple[LossReason, int | None, list[int]]:
        with stage.feed.subscribe(wanted, EVERYTHING, 0, 100) as subscription:
            await stage.copy.take(1, [new_event(conference_id="c9"), new_event()])
            assert (await next_of(subscription, 20)).position >= 1
            if looks_between:
                await next_of(subscription, 0.01)
            await stage.copy.begin_after(50)
            await stage.copy.take(51, [new_event(conference_id="c1")])
            loss = await _loss_of(subscription)
            await stage.copy.take(52, [new_event(conference_id="c9")])
            after: list[int] = []
            while 52 not in after:
                after += (await next_of(subscription, 20)).sequences
            return loss.reason, loss.missed, after

    reason, missed, after = stage.loop.run(follow(), 60)

    assert reason is LossReason.CURSOR_EXPIRED
    assert missed in (48, 49)
    assert after == ([51, 52] if wanted is ALL else [52])


def test_a_hole_between_what_comes_before_a_round_is_one(stage: AnewStage) -> None:
    """Nothing is looked at before the next round, which has a pause before it."""

    def entry(sequence: int) -> Entry:
        return Entry(Framed(sequence, b"frame"), keys_of(type="t"), 0)

    async def arrive() -> Window:
        dispatcher = Dispatcher(Window(0), stage.feed.cursors)
        with ExitStack() as stack:
            for _ in range(50):
                following = Subscription(dispatcher, stage.copy, ALL, EVERYTHING, 0, 100)
                stack.enter_context(following)
            for number in (1, 2, 10, 11):
                dispatcher.arrived([entry(number)])
            dispatcher.take_in()
            return dispatcher.window

    window = stage.loop.run(arrive())

    assert (window.start, window.newest) == (9, 11)
    assert [it.sequence for it in window.after(10, ALL, 5)] == [11]
