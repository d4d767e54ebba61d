"""Cursors ahead of a replica's index: waited for while the journal has what they stand for."""

import pytest

from gateway.feed.feed import Feed
from gateway.feed.start import LossReason, Start
from gateway.journal.cursor import Cursor, CursorFormatError
from gateway.journal.errors import LogUnavailableError
from tests.contract.homes import Home
from tests.feed.stage import Stage
from tests.harness.copying import HeldCopying
from tests.harness.events import new_event
from tests.harness.loop import LoopThread

PATIENCE_S = 3.0


def copying_of(stage: Stage, coming: int) -> HeldCopying:
    """Return the copying of an index that gets so many events when one is asked for."""

    async def bring() -> None:
        for _ in range(coming):
            await stage.log.journal.append(new_event())

    return HeldCopying(bring)


def start_after(
    loop: LoopThread, home: Home, sequence: int, coming: int, *, epoch: bytes = b""
) -> tuple[Start, HeldCopying]:
    stage = Stage(loop, home, 100)
    try:
        stage.numbered(3)
        copying = copying_of(stage, coming)
        feed = loop.call(lambda: Feed(stage.log.index, stage.window, copying))
        cursor = str(Cursor(epoch or stage.log.journal.epoch, sequence))
        return stage.run(feed.start_after(cursor, PATIENCE_S)), copying
    finally:
        stage.close()


def test_what_another_replica_has_is_waited_for(loop: LoopThread, home: Home) -> None:
    start, copying = start_after(loop, home, 5, coming=2)

    assert start == Start(5)
    assert copying.asked == [(5, PATIENCE_S)]


def test_what_nobody_has_is_ahead(loop: LoopThread, home: Home) -> None:
    start, _ = start_after(loop, home, 9, coming=2)

    assert start.loss is not None
    assert start.loss.reason is LossReason.CURSOR_AHEAD


@pytest.mark.parametrize(("sequence", "epoch"), [(3, b""), (0, b""), (9, b"otherlog")])
def test_what_can_be_told_at_once_is(
    loop: LoopThread, home: Home, sequence: int, epoch: bytes
) -> None:
    _, copying = start_after(loop, home, sequence, coming=0, epoch=epoch)

    assert copying.asked == []


def test_who_waits_in_vain_loses_nothing(loop: LoopThread, home: Home) -> None:
    stage = Stage(loop, home, 100)
    copying = copying_of(stage, 0)
    copying.fails = True
    feed = loop.call(lambda: Feed(stage.log.index, stage.window, copying))

    with pytest.raises(LogUnavailableError):
        stage.run(feed.start_after(str(Cursor(stage.log.journal.epoch, 1)), PATIENCE_S))
    with pytest.raises(CursorFormatError):
        stage.run(feed.start_after("no cursor", PATIENCE_S))

    stage.close()
