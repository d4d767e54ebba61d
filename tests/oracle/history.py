"""Histories: what each subscriber asked for, was sent and was told at the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    POSITION_EARLIEST,
    POSITION_LATEST,
    DrainReason,
    EventFilter,
    GapReason,
    SubscribeRequest,
    SubscribeResponse,
)
from gateway.journal.cursor import Cursor
from tests.oracle.model import Fields, Known, Wanted

_EVENTS_TAG = 0x0A
_RAW_TAG = b"\xe2\x03"


@dataclass(frozen=True, slots=True)
class Latest:
    """From now on."""


@dataclass(frozen=True, slots=True)
class Earliest:
    """Everything that is held."""


@dataclass(frozen=True, slots=True)
class After:
    """After a cursor."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Since:
    """From a moment on, in microseconds since 1970."""

    moment_us: int


Place: TypeAlias = Latest | Earliest | After | Since

EVERYTHING = Wanted()
LATEST = Latest()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a subscriber asked for."""

    wanted: Wanted = EVERYTHING
    place: Place = LATEST
    goes_on: bool = False
    bounded: bool = False
    batch_max: int = 0
    raw: bool = False
    heartbeat_s: int = 15

    def request(self) -> SubscribeRequest:
        wanted = self.wanted
        request = SubscribeRequest(
            filter=EventFilter(
                types=wanted.types,
                conference_ids=wanted.conference_ids,
                queue_names=wanted.queue_names,
                call_control_ids=wanted.call_control_ids,
                call_session_ids=wanted.call_session_ids,
                connection_ids=wanted.connection_ids,
            ),
            max_batch_events=self.batch_max,
            include_raw=self.raw,
            stop_when_caught_up=self.bounded,
        )
        request.heartbeat_interval.seconds = self.heartbeat_s
        if self.goes_on:
            request.on_gap = GAP_POLICY_CONTINUE
        match self.place:
            case Latest():
                request.position = POSITION_LATEST
            case Earliest():
                request.position = POSITION_EARLIEST
            case After(cursor):
                request.after_cursor = cursor
            case Since(moment_us):
                request.since.FromMicroseconds(moment_us)
        return request


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it came: its fields, its encoded bytes without the signed ones, and those."""

    id: str
    sequence: int
    cursor: Cursor
    fields: Fields
    encoded: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class GapTold:
    from_cursor: str
    to: Cursor
    missed: int
    reason: str


@dataclass(frozen=True, slots=True)
class Response:
    """A response, what was known of the log when it came and when the one before had come."""

    events: tuple[Seen, ...]
    cursor: Cursor
    live: bool
    gap: GapTold | None
    drain: str
    known: Known
    before: Known


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended: `ok`, `left` by the subscriber, `broken` by a crash, or an error."""

    how: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rest:
    """A moment at which nothing moved: the responses until then and the newest event.

    After a `silence` longer than a heartbeat the cursor must have reached the newest event.
    """

    responses: int
    newest: int
    silence: bool


@dataclass
class Stream:
    """One stream, from its opening to its end. `resumes` is the one it goes on where it left."""

    name: str
    opening: Opening
    epoch: bytes
    opened: Known
    resumes: "Stream | None" = None
    responses: list[Response] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)
    ended: Ended | None = None
    ended_at: Known | None = None
    # What was known when a drain began; None if none did.
    drained: Known | None = None
    # How often it was woken; None where nobody counted.
    wakes: int | None = None
    window: int | None = None
    # When each response came, on the monotonic clock; empty where nobody looked.
    times: list[float] = field(default_factory=list)

    def take(self, encoded: bytes, known: Known) -> None:
        before = self.responses[-1].known if self.responses else self.opened
        self.responses.append(read_response(encoded, known, before))

    @property
    def start(self) -> int:
        """The position that the first response told, gaps at the opening behind it."""
        return self.responses[0].cursor.sequence

    @property
    def position(self) -> int:
        return self.responses[-1].cursor.sequence

    @property
    def cursors(self) -> list[str]:
        return [str(it.cursor) for it in self.responses]

    def events(self) -> Iterator[Seen]:
        for response in self.responses:
            yield from response.events

    def told_missing(self) -> list[tuple[int, int]]:
        """The ranges (above, up to) that gaps within the stream spoke of."""
        return [
            (before.cursor.sequence, after.gap.to.sequence)
            for before, after in pairwise(self.responses)
            if after.gap is not None
        ]


def read_response(encoded: bytes, known: Known, before: Known) -> Response:
    response = SubscribeResponse.FromString(encoded)
    pieces = list(events_in(encoded))
    assert len(pieces) == len(response.events)
    gap = response.gap
    return Response(
        tuple(map(_seen, response.events, pieces)),
        Cursor.parse(response.cursor),
        response.live,
        GapTold(
            gap.from_cursor,
            Cursor.parse(gap.to_cursor),
            gap.missed_events,
            GapReason.Name(gap.reason).removeprefix("GAP_REASON_"),
        )
        if response.HasField("gap")
        else None,
        DrainReason.Name(response.drain.reason).removeprefix("DRAIN_REASON_")
        if response.HasField("drain")
        else "",
        known,
        before,
    )


def fields_of(event: Event) -> Fields:
    return Fields(
        event.type,
        event.conference_id,
        event.queue_name,
        event.call_control_id,
        event.call_session_id,
        event.connection_id,
    )


def _seen(event: Event, encoded: bytes) -> Seen:
    raw = event.raw_json
    if raw:
        # The signed bytes are the last field; without them everybody's bytes must be the same.
        length = (len(raw).bit_length() + 6) // 7
        end = len(encoded) - len(raw) - length - len(_RAW_TAG)
        assert encoded[end : end + len(_RAW_TAG)] == _RAW_TAG
        encoded = encoded[:end]
    else:
        # Signed bytes that were asked for, but deleted: an empty field.
        encoded = encoded.removesuffix(_RAW_TAG + b"\0")
    cursor = Cursor.parse(event.cursor)
    return Seen(event.id, event.sequence, cursor, fields_of(event), encoded, raw)


def events_in(encoded: bytes) -> Iterator[bytes]:
    """Cut the events out of a response as they lie in it: the bytes are what is compared."""
    at = 0
    while at < len(encoded) and encoded[at] == _EVENTS_TAG:
        length, at = _varint(encoded, at + 1)
        yield encoded[at : at + length]
        at += length


def _varint(encoded: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while encoded[at] & 0x80:
        value |= (encoded[at] & 0x7F) << shift
        shift += 7
        at += 1
    return value | encoded[at] << shift, at + 1
