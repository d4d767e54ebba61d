"""Events, keys and a form of the contract's own, so that no home can rely on the gateway's."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.journal.events import Framed, Keys, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.format import EventFormat, FramedBody
from gateway.schema.event_keys import EventKey

# When events are received that do not say when, in seconds and in microseconds since 1970.
NOW = 1_800_000_000
NOW_US = NOW * 1_000_000
SECOND_US = 1_000_000

_numbers = itertools.count(1)


def key(name: str, *, takes_prefixes: bool = False) -> EventKey:
    return EventKey(name, f"{name}s", takes_prefixes, name, name)


# Those that fewest events share come first, as where they are declared.
KEYS = (key("caller"), key("room"), key("kind", takes_prefixes=True))


def event(
    id_: str | None = None,
    *,
    at_us: int = NOW_US,
    raw: bytes = b"{}",
    size: int = 0,
    room: str = "",
    caller: str = "",
    kind: str = "",
) -> NewEvent:
    """Return an event with values of some keys, and a body that says all of them.

    Its body is larger than `size` bytes.
    """
    id_ = id_ or f"made-{next(_numbers)}"
    values = {"caller": caller, "room": room, "kind": kind}
    body = json.dumps({"id": id_, "padding": "x" * size, "values": values}).encode()
    return NewEvent(id_, kind, (caller, room, kind), at_us, body, raw)


def keyed(event_: NewEvent, keys: Sequence[EventKey]) -> NewEvent:
    """Return an event as it is where other keys are declared."""
    values = dict(zip([it.name for it in KEYS], event_.keys, strict=True))
    return event_._replace(keys=tuple(values.get(it.name, "") for it in keys))


def events(count: int, *, at_us: int = NOW_US, room: str = "") -> list[NewEvent]:
    return [event(at_us=at_us, room=room) for _ in range(count)]


def choosing(**values: str | Iterable[str]) -> Filter:
    """Return a filter for a value, or for one of several, of each of some keys, by their names."""
    return choosing_by(KEYS, **values)


def choosing_by(keys: Sequence[EventKey], /, **values: str | Iterable[str]) -> Filter:
    """Return such a filter for other keys."""
    wanted = {name: [it] if isinstance(it, str) else it for name, it in values.items()}
    return Filter.of(keys, wanted)


@dataclass(frozen=True, slots=True)
class Brackets:
    """A framing that puts something before a body and something else behind it.

    Each version gives frames of other lengths.
    """

    epoch: bytes
    version: int = 1

    def frame(self, sequence: int, body: bytes) -> FramedBody:
        tail = b"\0" + self.epoch if self.version % 2 else b""
        return FramedBody(b"<%d:%d|" % (self.version, sequence), body, tail)

    def framed(self, sequence: int, body: bytes) -> Framed:
        """Return an event as readers must get it."""
        return Framed(sequence, b"".join(self.frame(sequence, body)))


def format_of(keys: Sequence[EventKey] = KEYS, *, version: int = 1) -> EventFormat:
    return EventFormat(keys, _keys_in(keys), lambda epoch: Brackets(epoch, version))


def _keys_in(keys: Sequence[EventKey]) -> Callable[[bytes], Keys]:
    def keys_of(body: bytes) -> Keys:
        values = json.loads(body)["values"]
        return tuple(values.get(it.name, "") for it in keys)

    return keys_of


FORMAT = format_of()
