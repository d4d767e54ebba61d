"""Frames: joined as they are, they are a response that generated code reads."""

from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import ListEventsResponse, SubscribeResponse
from gateway.feed import frames
from gateway.journal.cursor import Cursor
from gateway.journal.filter import EVERYTHING
from tests.feed.stage import ALL, Stage

EPOCH = b"this log"


@given(st.lists(st.tuples(st.text(max_size=300), st.integers(1, 2**60)), max_size=5), st.booleans())
def test_joined_frames_are_a_response_that_generated_code_reads(
    events: list[tuple[str, int]], live: bool
) -> None:
    framing = frames.EventFraming(EPOCH)
    stored = [
        b"".join(framing.frame(number, Event(id=id_, type="t").SerializeToString()))
        for id_, number in events
    ]
    expected = [
        Event(id=id_, type="t", sequence=number, cursor=str(Cursor(EPOCH, number)))
        for id_, number in events
    ]

    rest = SubscribeResponse(cursor="x", live=live).SerializeToString()
    response = SubscribeResponse.FromString(frames.joined(stored, rest))

    assert list(response.events) == expected
    assert (response.cursor, response.live) == ("x", live)
    page = ListEventsResponse(next_page_token="n").SerializeToString()
    assert list(ListEventsResponse.FromString(frames.joined(stored, page)).events) == expected
    for frame, event in zip(stored, expected, strict=True):
        assert Event.FromString(frames.event_of(frame)) == event
        event.raw_json = b"raw"
        with_raw = frames.joined([frames.with_raw(frame, b"raw")], b"")
        assert list(SubscribeResponse.FromString(with_raw).events) == [event]


def test_the_field_numbers_are_those_of_the_protos() -> None:
    fields = Event.DESCRIPTOR.fields_by_name
    assert fields["cursor"].number == frames.EVENT_CURSOR
    assert fields["sequence"].number == frames.EVENT_SEQUENCE
    assert fields["raw_json"].number == frames.EVENT_RAW_JSON
    for response in (SubscribeResponse, ListEventsResponse):
        assert response.DESCRIPTOR.fields_by_name["events"].number == frames.RESPONSE_EVENTS


def test_as_many_frames_go_into_a_batch_as_fit_and_one_in_any_case() -> None:
    assert frames.fitting([b"12", b"34", b"56"], 4) == 2
    assert frames.fitting([b"12345", b"6"], 4) == 1
    assert frames.fitting([b"12", b"34"], 4) == 2
    assert frames.fitting([], 4) == 0


def test_a_stored_event_knows_its_place(stage: Stage) -> None:
    stage.numbered(2)

    stored = stage.run(stage.log.index.read(1, ALL, 1, EVERYTHING)).frames[0]

    event = Event.FromString(frames.event_of(stored.frame))
    assert event.sequence == 2
    assert Cursor.parse(event.cursor) == Cursor(stage.log.journal.epoch, 2)
