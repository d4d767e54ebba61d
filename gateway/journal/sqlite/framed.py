"""Frames: events as readers get them, kept beside their bodies.

Making a frame costs half of what reading an event does, so it is made once, when the event is
stored. The body lies in it as it is, and the log knows where: a gateway whose framing is another
takes it out and frames it anew.
"""

import logging
import sqlite3
from collections.abc import Iterator

from gateway.journal.format import Framing
from gateway.journal.sqlite.schema import read_meta, set_meta

# An event's body, out of its frame.
_BODY = "substr(frame, head + 1, length(frame) - head - tail)"

# Under which the log keeps the version of the framing that made its frames.
FRAMED_BY = "framed_by"

# Instead of a version: some frames are by one framing and some by another, or of another epoch.
NOT_FRAMED = -1

# Events of one step through the log, of up to half a megabyte each.
_STEP = 256

_log = logging.getLogger(__name__)


def fit_framing(connection: sqlite3.Connection, framing: Framing) -> None:
    """Give all events the frames of a framing. Raises sqlite3.Error.

    It is taken up again where it was broken off: to frame an event twice does no harm.
    """
    if read_meta(connection).get(FRAMED_BY) == framing.version:
        return
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if events:
        _log.info("framing the log's %d events anew", events)
        _mark(connection, NOT_FRAMED)
        unreadable = sum(_frame_anew(connection, framing, after) for after in steps(connection))
        if unreadable:
            _log.error("%d events are damaged, and are kept as they are", unreadable)
    _mark(connection, framing.version)


def steps(connection: sqlite3.Connection) -> Iterator[int]:
    """Yield where each step through all events begins: the number before its first one."""
    oldest, newest = connection.execute(
        "SELECT (SELECT min(sequence) FROM events), (SELECT max(sequence) FROM events)"
    ).fetchone()
    yield from range(oldest - 1, newest, _STEP)


def bodies(connection: sqlite3.Connection, after: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield the number and the body of each event of a step, None for one that is damaged."""
    rows = connection.execute(
        f"SELECT sequence, {_BODY}, head + tail <= length(frame) FROM events"
        " WHERE sequence > ? AND sequence <= ?",
        (after, after + _STEP),
    )
    for sequence, body, is_whole in rows.fetchall():
        yield sequence, body if is_whole and type(body) is bytes else None


def _frame_anew(connection: sqlite3.Connection, framing: Framing, after: int) -> int:
    """Frame the events of a step; returns how many could not be read."""
    held = list(bodies(connection, after))
    framed = {it: framing.frame(it, body) for it, body in held if body is not None}
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "UPDATE events SET head = ?, tail = ?, frame = ? WHERE sequence = ?",
        [(len(it.head), len(it.tail), b"".join(it), number) for number, it in framed.items()],
    )
    connection.commit()
    return len(held) - len(framed)


def _mark(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    set_meta(connection, {FRAMED_BY: version})
    connection.commit()
