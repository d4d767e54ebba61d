"""Filters: which events somebody wants."""

from dataclasses import dataclass, field
from sys import getsizeof
from typing import TypeAlias

from gateway.events.entry import EventKeys

# More values than this in one filter is a mistake of the caller; it also bounds what one
# subscriber costs.
VALUES_MAX = 1_000

# What the process holds for one value of an open stream's filter beside its text, in bytes: its
# place in a set, the key that wakes the stream, and that key's place in an index. Measured.
_VALUE_BYTES = 250

Key: TypeAlias = tuple[str, str]
"""A name of EventKeys and a value: what subscribers are woken by."""

EVERYTHING: Key = ("", "")

# The names of keys beside the type, by how few events one is likely to match: the fewest first.
KEY_NAMES = (
    "call_control_id",
    "call_session_id",
    "conference_id",
    "queue_name",
    "connection_id",
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on events: every field that is not empty must hold, by any of its values.

    Types are exact, or prefixes (kept apart, without their star).
    """

    types: frozenset[str] = frozenset()
    type_prefixes: tuple[str, ...] = ()
    conference_id: frozenset[str] = frozenset()
    queue_name: frozenset[str] = frozenset()
    call_control_id: frozenset[str] = frozenset()
    call_session_id: frozenset[str] = frozenset()
    connection_id: frozenset[str] = frozenset()
    is_everything: bool = field(init=False, compare=False)
    """Whether every event matches. Known from the beginning, because it is asked all the time."""

    def __post_init__(self) -> None:
        limits = (self.types, self.type_prefixes, *(getattr(self, name) for name in KEY_NAMES))
        object.__setattr__(self, "is_everything", not any(limits))

    @property
    def size_bytes(self) -> int:
        """About how much memory a stream with this filter takes because of it."""
        limits = (self.types, self.type_prefixes, *(getattr(self, name) for name in KEY_NAMES))
        return sum(getsizeof(value) + _VALUE_BYTES for values in limits for value in values)

    def matches(self, keys: EventKeys) -> bool:
        """Tell whether an event matches."""
        if (self.types or self.type_prefixes) and not (
            keys.type in self.types or keys.type.startswith(self.type_prefixes)
        ):
            return False
        for name in KEY_NAMES:
            wanted: frozenset[str] = getattr(self, name)
            if wanted and getattr(keys, name) not in wanted:
                return False
        return True

    def wake_keys(self) -> tuple[Key, ...]:
        """Return keys of which every matching event has at least one, few others having any."""
        for name in KEY_NAMES:
            wanted: frozenset[str] = getattr(self, name)
            if wanted:
                return tuple((name, value) for value in wanted)
        if self.types and not self.type_prefixes:
            return tuple(("type", value) for value in self.types)
        return (EVERYTHING,)


def keys_of(keys: EventKeys) -> list[Key]:
    """Return all keys that an event wakes subscribers by."""
    found: list[Key] = [EVERYTHING, ("type", keys.type)]
    for name in KEY_NAMES:
        value = getattr(keys, name)
        if value:
            found.append((name, value))
    return found
