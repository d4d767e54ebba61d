"""What a server of a feed can do wrong.

Each fault takes the messages of a stream, one event each, and returns what is sent instead; an
empty message stands for the end of the stream.
"""

from collections.abc import Callable, Mapping, Sequence

from conferencing.v1.event_service_pb2 import Drain, Gap, SubscribeResponse

# The event that it happens to: not the first, and not the last.
_AT = 5


def _lost(messages: Sequence[bytes]) -> list[bytes]:
    return [*messages[:_AT], *messages[_AT + 1 :]]


def _doubled(messages: Sequence[bytes]) -> list[bytes]:
    return [*messages[: _AT + 1], *messages[_AT:]]


def _swapped(messages: Sequence[bytes]) -> list[bytes]:
    return [*messages[:_AT], messages[_AT + 1], messages[_AT], *messages[_AT + 2 :]]


def _withheld(messages: Sequence[bytes]) -> list[bytes]:
    return list(messages[:-1])


def _ended(messages: Sequence[bytes]) -> list[bytes]:
    return [*messages[:_AT], b""]


def _flipped(messages: Sequence[bytes]) -> list[bytes]:
    # In the client's own text: what is left is a sound message.
    old = messages[_AT]
    place = old.index(b"aGF2")
    new = old[:place] + bytes([old[place] ^ 1]) + old[place + 1 :]
    return _with(messages, new)


def _other_cursor(messages: Sequence[bytes]) -> list[bytes]:
    return _changed(messages, lambda it: setattr(it, "cursor", _read(messages[_AT - 1]).cursor))


def _other_event_cursor(messages: Sequence[bytes]) -> list[bytes]:
    cursor = _read(messages[_AT - 1]).cursor
    return _changed(messages, lambda it: setattr(it.events[0], "cursor", cursor))


def _no_cursor(messages: Sequence[bytes]) -> list[bytes]:
    return _changed(messages, lambda it: it.ClearField("cursor"))


def _gap(messages: Sequence[bytes]) -> list[bytes]:
    return _changed(messages, lambda it: it.gap.CopyFrom(Gap(missed_events=1)))


def _drain(messages: Sequence[bytes]) -> list[bytes]:
    return _changed(messages, lambda it: it.drain.CopyFrom(Drain()))


def _under_another_number(messages: Sequence[bytes]) -> list[bytes]:
    # Stored twice: the next number in the log, but the event before.
    before = _read(messages[_AT - 1])

    def repeat(response: SubscribeResponse) -> None:
        sequence, cursor = response.events[0].sequence, response.events[0].cursor
        response.events[0].CopyFrom(before.events[0])
        response.events[0].sequence = sequence
        response.events[0].cursor = cursor

    return _changed(messages, repeat)


FAULTS: Mapping[str, Callable[[Sequence[bytes]], list[bytes]]] = {
    "an event lost": _lost,
    "an event sent twice": _doubled,
    "an event stored twice": _under_another_number,
    "two events swapped": _swapped,
    "the last event withheld": _withheld,
    "a bit flipped in an event": _flipped,
    "the cursor of another response": _other_cursor,
    "the cursor of another event": _other_event_cursor,
    "no cursor": _no_cursor,
    "a gap reported": _gap,
    "a drain reported": _drain,
    "the stream ended": _ended,
}


def _read(message: bytes) -> SubscribeResponse:
    return SubscribeResponse.FromString(message)


def _changed(messages: Sequence[bytes], change: Callable[[SubscribeResponse], None]) -> list[bytes]:
    response = _read(messages[_AT])
    change(response)
    return _with(messages, response.SerializeToString())


def _with(messages: Sequence[bytes], message: bytes) -> list[bytes]:
    return [*messages[:_AT], message, *messages[_AT + 1 :]]
