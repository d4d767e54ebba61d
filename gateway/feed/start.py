"""Where a stream starts: cursors and times as positions in the log."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogUnavailableError
from gateway.journal.ports import Index


class LossReason(enum.Enum):
    """Why events that follow a cursor cannot all be delivered."""

    CURSOR_EXPIRED = "retention has deleted the events after it"
    EPOCH_CHANGED = "it belongs to another log"
    CURSOR_AHEAD = "it is ahead of the log, which has lost its newest events"


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that cannot be delivered: what was asked for, where it goes on, and why.

    `missed` is None where it cannot be told how many they are.
    """

    reason: LossReason
    from_cursor: str
    position: int
    missed: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """The position to start after, and what is lost on the way to it."""

    position: int
    loss: Loss | None = None


def after_cursor(text: str, index: Index) -> Start:
    """Return the start that a cursor stands for. Raises CursorFormatError for any other text.

    A cursor whose events are not all held is never moved in silence: the start says what is lost.
    It then goes on with the oldest event held, the only position from which nothing more can be
    missed.
    """
    cursor = Cursor.parse(text)
    span = index.span
    if cursor.epoch != index.epoch:
        return _lossy(LossReason.EPOCH_CHANGED, text, span.oldest - 1, None)
    if cursor.sequence > span.newest:
        return _lossy(LossReason.CURSOR_AHEAD, text, span.oldest - 1, None)
    if cursor.sequence < span.oldest - 1:
        missed = span.oldest - 1 - cursor.sequence
        return _lossy(LossReason.CURSOR_EXPIRED, text, span.oldest - 1, missed)
    return Start(cursor.sequence)


async def since(moment_us: int, index: Index) -> Start:
    """Return the start before the first event received at a moment or later.

    Raises LogUnavailableError.
    """
    with of_one_log(index):
        first = await index.first_received_since(moment_us)
    return Start(max(first, index.span.oldest) - 1)


@contextmanager
def of_one_log(index: Index, epoch: bytes | None = None) -> Iterator[None]:
    """Read several things that belong together, of the log with an epoch: by default that of now.

    Raises LogUnavailableError if the index has begun anew meanwhile: numbers are others then.
    """
    epoch = index.epoch if epoch is None else epoch
    yield
    if index.epoch != epoch:
        raise LogUnavailableError("the event log has begun anew, as another one")


def begun_anew(from_cursor: str, index: Index) -> Loss:
    """Return the loss of a reader whose log has given way to another one."""
    return Loss(LossReason.EPOCH_CHANGED, from_cursor, index.span.oldest - 1, None)


def overtaken(position: int, index: Index, oldest: int) -> Loss:
    """Return the loss of a reader at `position` whose next events retention has deleted."""
    return Loss(
        LossReason.CURSOR_EXPIRED,
        str(Cursor(index.epoch, position)),
        oldest - 1,
        oldest - 1 - position,
    )


def _lossy(reason: LossReason, text: str, position: int, missed: int | None) -> Start:
    return Start(position, Loss(reason, text, position, missed))
