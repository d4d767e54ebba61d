"""Cursors that events are lost after: what the error tells, for programs and for people."""

from types import SimpleNamespace
from typing import cast

import pytest
from grpc import StatusCode

from gateway.feed.errors import EventsLostError
from gateway.feed.start import after_cursor
from gateway.journal.cursor import Cursor
from gateway.journal.ports import Index
from gateway.journal.reading import Span
from gateway.server.losses import lost

EPOCH = b"this log"
HELD = Span(4, 6)


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
