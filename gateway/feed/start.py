"""Where a stream starts: cursors, named places and times as positions in the log."""

import enum
from dataclasses import dataclass

from grpc import StatusCode

from gateway.details import FieldViolation
from gateway.errors import GatewayError, invalid_argument
from gateway.journal.cursor import Cursor, CursorFormatError
from gateway.journal.log import EventLog


class LossReason(enum.Enum):
    """Why events that follow a cursor cannot all be delivered."""

    CURSOR_EXPIRED = "the events after it were older than the retention and have been deleted"
    EPOCH_CHANGED = "it belongs to another log"
    CURSOR_AHEAD = "it is ahead of the log, which must have lost its end"


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


def after_cursor(text: str, log: EventLog, field: str) -> Start:
    """Return the start that a cursor stands for.

    Raises GatewayError (INVALID_ARGUMENT, naming `field`) for a text that is no cursor. A cursor
    whose events are not all held is never moved in silence: the start says what is lost. It then
    goes on with the oldest event held, the only place from which nothing more can be missed.
    """
    try:
        cursor = Cursor.parse(text)
    except CursorFormatError as error:
        raise invalid_argument([FieldViolation(field, str(error))]) from None
    span = log.span
    if cursor.epoch != log.epoch:
        return _lossy(LossReason.EPOCH_CHANGED, text, span.oldest - 1, None)
    if cursor.sequence > span.newest:
        return _lossy(LossReason.CURSOR_AHEAD, text, span.oldest - 1, None)
    if cursor.sequence < span.oldest - 1:
        missed = span.oldest - 1 - cursor.sequence
        return _lossy(LossReason.CURSOR_EXPIRED, text, span.oldest - 1, missed)
    return Start(cursor.sequence)


def overtaken(position: int, log: EventLog, oldest: int) -> Loss:
    """Return the loss of a reader at `position` whose next events retention has deleted."""
    return Loss(
        LossReason.CURSOR_EXPIRED,
        str(Cursor(log.epoch, position)),
        oldest - 1,
        oldest - 1 - position,
    )


def loss_error(loss: Loss, log: EventLog, way_on: str) -> GatewayError:
    """Return the error of a stream that must not go on over a loss.

    `way_on` says what the caller of this RPC can do instead, in the RPC's own terms.
    """
    span = log.span
    return GatewayError(
        StatusCode.OUT_OF_RANGE,
        loss.reason.name,
        f"cannot go on after this cursor: {loss.reason.value}; {way_on}",
        {
            "oldest_cursor": str(Cursor(log.epoch, span.oldest - 1)),
            "newest_cursor": str(Cursor(log.epoch, span.newest)),
        }
        | ({"missed_events": str(loss.missed)} if loss.missed is not None else {}),
    )


def _lossy(reason: LossReason, text: str, position: int, missed: int | None) -> Start:
    return Start(position, Loss(reason, text, position, missed))
