"""Frames: events as pieces of an encoded response.

A `repeated` message field is, on the wire, its members one after the other, each with the field's
tag and its length (the protobuf encoding guide, "repeated fields"). So an event is encoded once,
when it is stored, and a response is stored frames joined with the few bytes that are its own.
Both `SubscribeResponse` and `ListEventsResponse` hold their events in field 1; a test compares
what is joined here with what the generated code reads.
"""

from collections.abc import Iterable, Sequence

from gateway.journal.cursor import Cursors
from gateway.journal.format import FramedBody
from gateway.journal.ports import EPOCH_BYTES

_LENGTH_DELIMITED = 2
# Field numbers of `Event` and of the responses; checked against the protos by a test.
EVENT_CURSOR = 2
EVENT_SEQUENCE = 3
EVENT_RAW_JSON = 60
RESPONSE_EVENTS = 1


# The numbers of one byte.
_SHORT = tuple(bytes((number,)) for number in range(0x80))


def varint(number: int) -> bytes:
    """Return a number in base-128, lowest group first."""
    if 0 <= number <= 0x7F:  # most tags and lengths
        return _SHORT[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def bytes_field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field (text, bytes or message)."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(value)) + value


def varint_field(number: int, value: int) -> bytes:
    """Return an integer field."""
    return varint(number << 3) + varint(value)


# All cursors are equally long.
_CURSOR_BYTES = len(bytes_field(EVENT_CURSOR, Cursors(bytes(EPOCH_BYTES)).encoded(0)))

_EVENTS_TAG = varint(RESPONSE_EVENTS << 3 | _LENGTH_DELIMITED)


class EventFraming:
    """A `Framing` of events for responses: with number and cursor, as a member of `events`.

    `epoch` is that of the log.
    """

    # To be raised with every change of what it makes, the layout of cursors included.
    version = 1

    def __init__(self, epoch: bytes) -> None:
        self._cursors = Cursors(epoch)

    def frame(self, sequence: int, body: bytes) -> FramedBody:
        """See `Framing.frame`."""
        cursor = bytes_field(EVENT_CURSOR, self._cursors.encoded(sequence))
        tail = cursor + varint_field(EVENT_SEQUENCE, sequence)
        return FramedBody(_EVENTS_TAG + varint(len(body) + len(tail)), body, tail)


def body_of(sequence: int, frame: bytes) -> bytes:
    """Return the body that a frame was made of. Raises ValueError for a frame of another number."""
    event = event_of(frame)
    number = varint_field(EVENT_SEQUENCE, sequence)
    length = _CURSOR_BYTES + len(number)
    if not event.endswith(number) or len(event) < length:
        raise ValueError(f"it is no frame of number {sequence}")
    return event[:-length]


def event_of(frame: bytes) -> bytes:
    """Return the serialised event inside a frame."""
    start = 1
    while frame[start] & 0x80:
        start += 1
    return frame[start + 1 :]


def with_raw(frame: bytes, raw: bytes) -> bytes:
    """Return the frame of the same event with its signed bytes."""
    return bytes_field(RESPONSE_EVENTS, event_of(frame) + bytes_field(EVENT_RAW_JSON, raw))


def fitting(frames: Sequence[bytes], bytes_max: int) -> int:
    """Return how many of the first frames fit into so many bytes: at least one, if there is any."""
    if sum(map(len, frames)) <= bytes_max:
        return len(frames)
    size = 0
    for index, frame in enumerate(frames):
        size += len(frame)
        if size > bytes_max and index:
            return index
    return len(frames)


def joined(frames: Iterable[bytes], rest: bytes) -> bytes:
    """Return a response made of frames and its other fields, already encoded."""
    return b"".join((*frames, rest))
