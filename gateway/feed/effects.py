"""The effects of commands: the first event of each that shows it, as it comes.

Webhooks do not say which command caused them. What joins the two is order and likeness: the first
event after the receipt's cursor that is of a type which the command causes, and that has the
request's value in every key that the request names. So two commands that are alike and in flight
at once may get each other's event, and one that somebody else has caused in the same moment may be
taken for either.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.events import Entry, Keys
from gateway.journal.ports import Index
from gateway.records.effects import EffectSeen
from gateway.records.observer import Observer
from gateway.schema.effects import declared_effects
from gateway.schema.event_keys import EventKey
from gateway.tracecontext import Span, parse

# How long an effect is waited for, in seconds. The provider sends most within a second; a recording
# takes longer to be saved.
PATIENCE_S = 60.0

# How many commands may wait for theirs; the oldest is forgotten for a further one. Only those wait
# that are traced.
WAITING_MAX = 1_000

_TYPE = "type"

# An event type, a key by its number, and its value.
_Place: TypeAlias = tuple[str, int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """A command that is about to be sent, and what its effect will look like."""

    method: str
    cursor: str
    began: float
    span: Span
    # The values that each key may have, by its number.
    values: Mapping[int, frozenset[str]]
    places: Sequence[_Place]
    _forget: Callable[["Expected"], None]

    def forget(self) -> None:
        """Wait no longer: the command has not been carried out."""
        self._forget(self)

    def fits(self, keys: Keys) -> bool:
        """Tell whether an event with these keys may be the effect; its type is one of those."""
        return all(keys[number] in values for number, values in self.values.items())


class Effects:
    """Waits for the effects of commands, and tells `observe` of each that comes.

    `effects` are the event types that show the effect of a method, by its name; `keys` those of the
    events that `arrived` is given. `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self,
        effects: Mapping[str, Sequence[str]],
        keys: Sequence[EventKey],
        observe: Observer[EffectSeen],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._effects = effects
        self._type = next(number for number, key in enumerate(keys) if key.name == _TYPE)
        self._keys = [(number, key) for number, key in enumerate(keys) if number != self._type]
        self._observe = observe
        self._now = now
        # The oldest first.
        self._waiting: dict[Expected, None] = {}
        self._places: dict[_Place, deque[Expected]] = {}

    @classmethod
    def following(
        cls, index: Index, services: Iterable[ServiceDescriptor], observe: Observer[EffectSeen]
    ) -> "Effects":
        """Return one for the methods of some services, which is given all that an index gets.

        Raises BindingError.
        """
        following = cls(declared_effects(services), index.keys, observe)
        index.listen(following.arrived)
        return following

    @property
    def waiting(self) -> int:
        """How many commands wait for their effect."""
        return len(self._waiting)

    def expect(self, method: str, request: Message, cursor: str, span: Span) -> Expected | None:
        """Wait for the effect of a command that is about to be sent, after a cursor.

        None if it has none by which it could be told.
        """
        types = self._effects.get(method)
        values = dict(self._values(request)) if types else {}
        if not types or not values:
            return None
        # By the key that fewest events share.
        number = min(values)
        places = [(it, number, value) for it in types for value in values[number]]
        now = self._now()
        self._forget_old(now)
        if len(self._waiting) >= WAITING_MAX:
            self._forget(next(iter(self._waiting)))
        expected = Expected(method, cursor, now, span, values, places, self._forget)
        self._waiting[expected] = None
        for place in places:
            self._places.setdefault(place, deque()).append(expected)
        return expected

    def arrived(self, entries: Sequence[Entry]) -> None:
        """Take new entries of the log, in its order."""
        if self._waiting:
            self._forget_old(self._now())
            for entry in entries:
                self._take(entry)

    def _take(self, entry: Entry) -> None:
        keys = entry.keys
        type_ = keys[self._type]
        for number, _ in self._keys:
            for expected in self._places.get((type_, number, keys[number]), ()):
                if expected.fits(keys):
                    self._forget(expected)
                    self._tell(expected, entry)
                    return

    def _tell(self, expected: Expected, entry: Entry) -> None:
        event = Event.FromString(event_of(entry.framed.frame))
        self._observe(
            EffectSeen(
                expected.method,
                expected.cursor,
                event.type,
                event.id,
                entry.framed.sequence,
                expected.began,
                self._now() - expected.began,
                expected.span.child(),
                parse(event.traceparent),
            )
        )

    def _forget(self, expected: Expected) -> None:
        if expected not in self._waiting:
            return
        del self._waiting[expected]
        for place in expected.places:
            found = self._places[place]
            found.remove(expected)
            if not found:
                del self._places[place]

    def _forget_old(self, now: float) -> None:
        while self._waiting:
            oldest = next(iter(self._waiting))
            if now - oldest.began <= PATIENCE_S:
                return
            self._forget(oldest)

    def _values(self, request: Any) -> Iterator[tuple[int, frozenset[str]]]:
        """Return what a request says of the keys: one value in a field, or several in a list."""
        fields = request.DESCRIPTOR.fields_by_name
        for number, key in self._keys:
            if key.name in fields and (value := getattr(request, key.name)):
                yield number, frozenset((value,))
            elif key.filter_field in fields and (several := getattr(request, key.filter_field)):
                yield number, frozenset(several)
