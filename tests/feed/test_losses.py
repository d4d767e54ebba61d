"""What is lost for a subscriber: it is said, and how much."""

from types import SimpleNamespace
from typing import cast

import pytest
from grpc import StatusCode

from gateway.feed.errors import EventsLostError
from gateway.feed.start import Loss, LossReason, Start, after_cursor
from gateway.journal.cursor import Cursor
from gateway.journal.filter import EVERYTHING
from gateway.journal.ports import Index
from gateway.journal.reading import Span
from gateway.server.losses import lost
from tests.feed.stage import ALL, RETENTION, Given, Stage, next_of

EPOCH = b"this log"
HELD = Span(4, 6)


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


@pytest.mark.parametrize(
    ("cursor", "reason", "missed"),
    [
        (Cursor(EPOCH, 1), "CURSOR_EXPIRED", {"missed_events": "2"}),
        (Cursor(EPOCH, 7), "CURSOR_AHEAD", {}),
        (Cursor(b"otherlog", 5), "EPOCH_CHANGED", {}),
    ],
)
def test_a_lost_cursor_tells_how_much_is_missing_and_the_places_there_are(
    cursor: Cursor, reason: str, missed: dict[str, str]
) -> None:
    index = cast(Index, SimpleNamespace(epoch=EPOCH, span=HELD))
    loss = after_cursor(str(cursor), index).loss
    assert loss is not None

    error = lost(EventsLostError(loss, index), "do this instead")

    assert (error.code, error.reason) == (StatusCode.OUT_OF_RANGE, reason)
    assert error.metadata == {
        "oldest_cursor": str(Cursor(EPOCH, 3)),
        "newest_cursor": str(Cursor(EPOCH, 6)),
        **missed,
    }
    assert error.message.endswith("; do this instead")
