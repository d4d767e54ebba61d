"""What a stream must bring: the log as its first reader got it.

Decoding every event of a thousand streams would take a hundred times as long as sending them. So
the first stream that gets a stretch of the log has it decoded by the generated code and checked;
all others must bring the very same bytes.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass

from bench.contestants.contestant import CheckError
from bench.feed.webhooks import Postings
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeResponse
from gateway.journal.cursor import Cursor

# The response's own fields are shorter than this, and every event is longer.
REST_MAX = 150

_EVENTS_TAG = 0x0A


@dataclass(frozen=True, slots=True)
class Rest:
    """A response without its events."""

    cursor: str
    position: int
    live: bool
    # Whether the server closes the stream gracefully with it.
    drains: bool = False


class KnownLog:
    """The events that streams with one filter bring, one after the other as bytes.

    `dense`: the filter matches everything, so numbers in the log follow on each other. `may_drain`:
    streams may be closed gracefully.
    """

    def __init__(self, postings: Postings, *, dense: bool, may_drain: bool = False) -> None:
        self.bytes = bytearray()
        # Where events end; the first one is where the log begins.
        self.ends = [0]
        # By event: the number in the log and the number that it was posted with.
        self.sequences = array("Q")
        self.numbers = array("Q")
        # The place before the first event; told by the first stream.
        self.base: int | None = None
        self._postings = postings
        self._dense = dense
        self._may_drain = may_drain
        self._rests: dict[bytes, Rest] = {}

    def index_after(self, position: int) -> int:
        """Return how many of the events come up to a position. Raises CheckError."""
        if self.base is None:
            self.base = position
        index = bisect_right(self.sequences, position)
        if position < self.base or (self._dense and index != position - self.base):
            raise CheckError(f"a stream begins after event {position}, which nobody has seen")
        return index

    def covers(self, start: int, length: int) -> int | None:
        """Return how many events a message of a length holds that begins at an offset.

        None if it holds some that nobody has seen yet.
        """
        end = bisect_right(self.ends, start + length) - 1
        return end if start + length - self.ends[end] <= REST_MAX else None

    def take_in(self, message: memoryview) -> int:
        """Decode and check the events at the start of a message; return where they end."""
        offset = 0
        while offset < len(message) and message[offset] == _EVENTS_TAG:
            length, body = _varint(message, offset + 1)
            end = body + length
            if end > len(message):
                raise CheckError("an event is longer than its message")
            self._check(Event.FromString(bytes(message[body:end])))
            self.bytes += message[offset:end]
            self.ends.append(len(self.bytes))
            offset = end
        return offset

    def rest(self, encoded: bytes, index: int) -> Rest:
        """Return the fields after the first `index` events. Raises CheckError."""
        rest = self._rests.get(encoded)
        if rest is None:
            rest = self._rests[encoded] = _read_rest(encoded)
            if rest.drains and not self._may_drain:
                raise CheckError(f"the server closes a stream: {encoded!r}")
        if index:
            last = self.sequences[index - 1]
            if rest.position < last or (self._dense and rest.position != last):
                raise CheckError(f"after event {last} the cursor is that of {rest.position}")
        return rest

    def check_complete(self, first: int, count: int, step: int = 1) -> None:
        """Raise CheckError unless it is the events posted with these numbers, each once.

        With a `step` those of one conference: every so many-th.
        """
        expected = list(range(first, first + count, step))
        if sorted(self.numbers) != expected:
            raise CheckError(
                f"of {len(expected)} events posted {len(set(self.numbers))} came,"
                f" {len(self.numbers)} with"
                " their repetitions"
            )

    def _check(self, event: Event) -> None:
        before = self.sequences[-1] if self.sequences else self.base or 0
        after = event.sequence
        if after <= before or (self._dense and after != before + 1):
            raise CheckError(f"event {after} came after event {before}")
        if Cursor.parse(event.cursor).sequence != after:
            raise CheckError(f"event {after} has the cursor of another")
        number = self._postings.number_of(event)
        if number is None:
            raise CheckError(f"event {after} is not as it was posted:\n{event}")
        self.sequences.append(after)
        self.numbers.append(number)


def _read_rest(encoded: bytes) -> Rest:
    rest = SubscribeResponse.FromString(encoded)
    if rest.events or rest.HasField("gap") or not rest.cursor:
        raise CheckError(f"a response has what it should not have, or no cursor:\n{rest}")
    position = Cursor.parse(rest.cursor).sequence
    return Rest(rest.cursor, position, rest.live, rest.HasField("drain"))


def _varint(data: memoryview, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
