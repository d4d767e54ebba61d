"""Shared commands: what is taken here, told to other gateways, and taken from them."""

import logging
from collections.abc import Callable

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.conference.sharing import MESSAGE_BYTES_MAX, SharedCommands

MUTE = c.MuteParticipantsRequest(conference_id="c1", call_control_ids=["v3:a"])


class Noted:
    """A `Broadcast` that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.dropped = 0
        self.receivers: list[Callable[[bytes], None]] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def listen(self, receiver: Callable[[bytes], None]) -> None:
        self.receivers.append(receiver)

    def hear(self, message: bytes) -> None:
        for receiver in self.receivers:
            receiver(message)


class Gateway:
    """One gateway, and what the two of its rooms have taken that show conferences."""

    def __init__(self) -> None:
        self.broadcast = Noted()
        self.taken: tuple[list[Message], list[Message]] = ([], [])
        self.shared = SharedCommands(
            self.broadcast,
            [c.MuteParticipantsRequest, q.LeaveQueueRequest],
            [it.append for it in self.taken],
        )


def packed(message: Message) -> bytes:
    packed = Any()
    packed.Pack(message)
    return packed.SerializeToString()


def test_a_command_is_taken_once_by_all_rooms_of_all_gateways_and_told_once() -> None:
    one, other = Gateway(), Gateway()

    one.shared.accepted(MUTE)
    (told,) = one.broadcast.sent
    other.broadcast.hear(told)

    assert one.taken == other.taken == ([MUTE], [MUTE])
    assert other.broadcast.sent == [], "what was heard is not told on"
    assert (other.shared.received, other.shared.rejected) == (1, 0)
    assert (one.shared.received, one.shared.dropped) == (0, 0)


def test_a_command_about_no_conference_is_taken_here_and_told_to_nobody() -> None:
    gateway = Gateway()
    leave = q.LeaveQueueRequest(call_control_id="v3:a")

    gateway.shared.accepted(leave)

    assert gateway.taken == ([leave], [leave])
    assert gateway.broadcast.sent == []


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "'' is no command"),
        (b"\xff\xff\xff", "it is no message of a gateway"),
        (packed(q.LeaveQueueRequest(call_control_id="v3:a")), "it names no conference"),
        (packed(c.MuteParticipantsRequest()), "it names no conference"),
        (packed(c.EndConferenceRequest(conference_id="c1")), "EndConferenceRequest' is no command"),
        (
            Any(type_url=f"x/{c.MuteParticipantsRequest.DESCRIPTOR.full_name}", value=b"\xff\xff"),
            "it is no message of a gateway",
        ),
        (Any(type_url="x/" + "y" * 5_000), "y' is no command"),
        (bytes(MESSAGE_BYTES_MAX + 1), f"may have {MESSAGE_BYTES_MAX}"),
    ],
)
def test_what_no_gateway_sends_is_counted_named_once_and_changes_nothing(
    message: bytes | Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway()
    data = message if isinstance(message, bytes) else message.SerializeToString()

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            gateway.broadcast.hear(data)

    assert gateway.taken == ([], [])
    assert (gateway.shared.received, gateway.shared.rejected) == (0, 3)
    (line,) = caplog.messages
    assert why in line
    assert len(line) < 300
    gateway.broadcast.hear(packed(MUTE))
    assert gateway.taken == ([MUTE], [MUTE])


def test_a_command_that_is_too_large_is_taken_here_and_counted() -> None:
    gateway = Gateway()
    many = [f"v3:{number:060}" for number in range(MESSAGE_BYTES_MAX // 60)]
    large = c.MuteParticipantsRequest(conference_id="c1", call_control_ids=many)
    gateway.broadcast.dropped = 2

    gateway.shared.accepted(large)

    assert gateway.taken == ([large], [large])
    assert gateway.broadcast.sent == []
    assert gateway.shared.dropped == 3
