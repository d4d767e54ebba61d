"""Which event is taken for the effect of a command."""

from typing import Any

import pytest
from google.protobuf.message import Message

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.feed.effects import PATIENCE_S, WAITING_MAX, Effects, Expected
from gateway.feed.frames import EventFraming
from gateway.journal.events import Entry, Framed
from gateway.records.effects import EffectSeen
from gateway.schema.binding import BindingError
from gateway.schema.effects import declared_effects
from gateway.schema.services import COMMAND_SERVICES
from gateway.tracecontext import Span, TraceContext
from tests.harness.clock import ManualClock
from tests.harness.descriptors import pool_of_files
from tests.harness.events import KEYS, new_event

SPAN = Span(TraceContext("1" * 32, "2" * 16, 1), None, True)
DECLARED = declared_effects(COMMAND_SERVICES)

CONFERENCES, QUEUES = (service.full_name for service in COMMAND_SERVICES)
JOIN, SPEAK = f"{CONFERENCES}/JoinConference", f"{CONFERENCES}/SpeakText"

JOINED = "conference.participant.joined"


class Stage:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.seen: list[EffectSeen] = []
        self.effects = Effects(DECLARED, KEYS, self.seen.append, self.clock)
        self._sequence = 0

    def expect(self, method: str, request: Message, cursor: str = "before") -> Expected | None:
        return self.effects.expect(method, request, cursor, SPAN)

    def join(self, call: str = "alice", conference: str = "c-1", cursor: str = "before") -> Any:
        request = c.JoinConferenceRequest(conference_id=conference, call_control_id=call)
        return self.expect(JOIN, request, cursor)

    def arrives(self, type_: str = JOINED, traceparent: str = "", **keys: str) -> int:
        """Return the number of an event that arrives."""
        self._sequence += 1
        named: dict[str, Any] = dict(keys)
        new = new_event(type_, **named)
        body = new.body
        if traceparent:
            body += b"\x7a" + bytes([len(traceparent)]) + traceparent.encode()
        frame = b"".join(EventFraming(bytes(8)).frame(self._sequence, body))
        self.effects.arrived([Entry(Framed(self._sequence, frame), new.keys)])
        return self._sequence

    def joins(self, call: str = "alice", conference: str = "c-1") -> int:
        return self.arrives(conference_id=conference, call_control_id=call)

    @property
    def numbers(self) -> list[int]:
        return [it.sequence for it in self.seen]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_it_is_the_first_event_of_its_type_with_the_ids_of_the_request(stage: Stage) -> None:
    stage.joins()
    stage.join()
    stage.joins(call="bob")
    stage.joins(conference="c-2")
    stage.arrives("conference.participant.left", conference_id="c-1", call_control_id="alice")
    stage.arrives(conference_id="c-1")
    stage.clock.advance(1.5)

    number = stage.joins()
    stage.joins()

    assert stage.numbers == [number]
    assert stage.effects.waiting == 0


def test_what_is_told_of_it(stage: Stage) -> None:
    context = TraceContext("3" * 32, "4" * 16, 1)
    stage.join(cursor="cursor-1")
    stage.clock.advance(1.5)

    stage.arrives(traceparent=context.traceparent, conference_id="c-1", call_control_id="alice")

    (seen,) = stage.seen
    assert seen == EffectSeen(
        JOIN,
        "cursor-1",
        JOINED,
        seen.event_id,
        1,
        stage.clock.now - 1.5,
        1.5,
        Span(SPAN.context._replace(span_id=seen.span.context.span_id), SPAN.context, True),
        context,
    )
    assert seen.event_id.startswith("made-")


def test_commands_that_are_alike_get_one_event_each_in_their_order(stage: Stage) -> None:
    for cursor in ("first", "second"):
        stage.join(cursor=cursor)

    numbers = [stage.joins(), stage.joins()]
    stage.joins()

    assert [(it.cursor, it.sequence) for it in stage.seen] == [
        ("first", numbers[0]),
        ("second", numbers[1]),
    ]


def test_one_of_several_calls_or_types_is_enough(stage: Stage) -> None:
    request = c.SpeakTextRequest(conference_id="c-1", call_control_ids=["alice", "bob"])
    stage.expect(SPEAK, request)
    started = "conference.participant.speak.started"

    stage.arrives("conference.speak.started", conference_id="c-1")
    number = stage.arrives(started, conference_id="c-1", call_control_id="bob")
    stage.arrives(started, conference_id="c-1", call_control_id="alice")
    assert stage.numbers == [number]

    stage.expect(SPEAK, c.SpeakTextRequest(conference_id="c-1"))
    other = stage.arrives("conference.speak.started", conference_id="c-1")
    assert stage.numbers == [number, other]


def test_a_command_that_was_not_carried_out_has_no_effect(stage: Stage) -> None:
    expected = stage.join()
    expected.forget()
    expected.forget()

    stage.joins()

    assert (stage.seen, stage.effects.waiting) == ([], 0)


def test_what_comes_later_than_a_minute_is_no_effect(stage: Stage) -> None:
    stage.join(cursor="old")
    stage.clock.advance(PATIENCE_S / 2)
    stage.join(cursor="new")
    stage.clock.advance(PATIENCE_S / 2 + 0.001)

    stage.joins()

    assert [it.cursor for it in stage.seen] == ["new"]
    assert stage.effects.waiting == 0


def test_of_too_many_commands_the_oldest_are_forgotten(stage: Stage) -> None:
    for number in range(WAITING_MAX + 1):
        stage.join(call=f"call-{number}")
    assert stage.effects.waiting == WAITING_MAX

    stage.joins(call="call-0")
    number = stage.joins(call="call-1")

    assert stage.numbers == [number]


def test_commands_without_an_effect_wait_for_none(stage: Stage) -> None:
    mute = f"{CONFERENCES}/MuteParticipants"
    get = f"{QUEUES}/GetQueue"

    assert stage.expect(mute, c.MuteParticipantsRequest(conference_id="c-1")) is None
    assert stage.expect(get, q.GetQueueRequest(queue_name="q")) is None
    # A request that names nothing by which events are found could be met by any of them.
    assert stage.expect(JOIN, c.JoinConferenceRequest()) is None


def test_an_effect_that_no_event_can_be_is_refused_by_its_method() -> None:
    def misspell(file: Any) -> None:
        for service in file.service:
            for method in service.method:
                text = method.options.SerializeToString()
                wrong = text.replace(b"call.enqueued", b"call.enqueues")
                method.options.ParseFromString(wrong)

    pool = pool_of_files([COMMAND_SERVICES[1].file], misspell)
    services = [pool.FindServiceByName(QUEUES)]

    with pytest.raises(BindingError, match=r"EnqueueCall: its effect 'call\.enqueues' is a type"):
        declared_effects(services)
