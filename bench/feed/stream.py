"""One stream: its bytes become messages, and each message is checked against what is known."""

from array import array

from bench.contestants.contestant import CheckError
from bench.feed.http2 import PREFIX
from bench.feed.known import KnownLog, Rest

_PREFIX_BYTES = PREFIX.size


class Stream:
    """Checks the stream with a number, byte by byte.

    Messages are not put together first: the pieces of one whose events are all known are compared
    as they come; only what nobody has seen before is kept until it is complete.
    """

    __slots__ = (
        "_end",
        "_events_length",
        "_got",
        "_kept",
        "_length",
        "_prefix",
        "_start",
        "at",
        "index",
        "known",
        "marks",
        "messages",
        "name",
        "rest",
        "since_update",
    )

    def __init__(self, name: str, known: KnownLog, marks: "array[float]") -> None:
        self.name = name
        self.known = known
        # How many events of the known log it has brought, or was opened after.
        self.index = 0
        # The rest of the last message; None before the first.
        self.rest: Rest | None = None
        self.messages = 0
        # When the last message was complete.
        self.at = 0.0
        # Of each message with events: when it came and the indexes it begins and ends with.
        self.marks = marks
        # Bytes that came since the server was last allowed to send more.
        self.since_update = 0
        self._prefix = b""
        self._length = -1
        self._got = 0
        # Where in the known bytes the message begins, and the events that it ends with; None if
        # there are new ones in it.
        self._start = 0
        self._end: int | None = None
        self._events_length = 0
        self._kept = bytearray()

    def resumed(self, known: KnownLog, marks: "array[float]") -> "Stream":
        """Return a stream that goes on where this one stopped."""
        stream = Stream(self.name, known, marks)
        stream.index, stream.rest = self.index, self.rest
        return stream

    def data(self, piece: memoryview, at: float) -> None:
        """Take the next bytes, received at a time. Raises CheckError."""
        offset, size = 0, len(piece)
        while offset < size:
            if self._length < 0:
                taken = min(_PREFIX_BYTES - len(self._prefix), size - offset)
                self._prefix += piece[offset : offset + taken]
                offset += taken
                if len(self._prefix) < _PREFIX_BYTES:
                    return
                self._begin()
            else:
                taken = min(self._length - self._got, size - offset)
                self._part(piece[offset : offset + taken])
                offset += taken
            if self._got == self._length:
                self._complete(at)

    def _begin(self) -> None:
        compressed, self._length = PREFIX.unpack(self._prefix)
        if compressed:
            raise self._wrong("a message is compressed")
        self._prefix = b""
        self._got = 0
        self._start = self.known.ends[self.index]
        self._end = self.known.covers(self._start, self._length)
        if self._end is not None:
            self._events_length = self.known.ends[self._end] - self._start

    def _part(self, part: memoryview) -> None:
        got = self._got
        self._got += len(part)
        if self._end is None:
            self._kept += part
            return
        left = self._events_length - got
        if left > 0:
            if not self.known.bytes.startswith(part[:left], self._start + got):
                raise self._wrong("the bytes of an event are not those that another stream got")
            part = part[left:]
        self._kept += part

    def _complete(self, at: float) -> None:
        known, index = self.known, self.index
        end = self._end
        if end is None:
            end = self._take_in()
        rest = bytes(self._kept)
        self._kept.clear()
        self._length = -1
        try:
            if self.rest is None:
                self.rest = known.rest(rest, 0)
                self.index = known.index_after(self.rest.position)
                if end != index:
                    raise CheckError("the first response has events")
            else:
                self.rest = known.rest(rest, end)
                self.index = end
        except CheckError as error:
            raise self._wrong(str(error)) from None
        self.messages += 1
        self.at = at
        if end > index:
            self.marks.extend((at, index, end))

    def _take_in(self) -> int:
        """Check a message with new events and keep of it what is the response's own."""
        known, message = self.known, self._kept
        # Others may have seen some of it first, and more since it began.
        overlap = min(len(known.bytes) - self._start, len(message))
        end = known.covers(self._start, len(message))
        if end is not None:
            overlap = known.ends[end] - self._start
        if not known.bytes.startswith(memoryview(message)[:overlap], self._start):
            raise self._wrong("the bytes of an event are not those that another stream got")
        if end is None:
            try:
                overlap += known.take_in(memoryview(message)[overlap:])
            except CheckError as error:
                raise self._wrong(str(error)) from None
            end = len(known.sequences)
        self._kept = bytearray(memoryview(message)[overlap:])
        return end

    def _wrong(self, text: str) -> CheckError:
        return CheckError(f"{self.name}, after {self.index} events: {text}")
