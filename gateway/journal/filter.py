"""Filters: which events somebody wants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import NamedTuple, TypeAlias

from gateway.journal.events import Keys
from gateway.schema.event_keys import EventKey

# More values than this in one filter is a mistake of the caller; it also bounds what one
# subscriber costs.
VALUES_MAX = 1_000

# What the process holds for one value of an open stream's filter beside its text, in bytes: its
# place in a set, the key that wakes the stream, and that key's place in an index. Measured.
_VALUE_BYTES = 250

WakeKey: TypeAlias = tuple[int, str]
"""The number of a key among the declared ones and a value: what subscribers are woken by."""

ANY_EVENT: WakeKey = (-1, "")


class Limit(NamedTuple):
    """What one key must be: one of some values, or begin like one of some prefixes.

    `key` is its number among the declared keys.
    """

    key: int
    values: frozenset[str]
    prefixes: tuple[str, ...] = ()

    def allows(self, value: str) -> bool:
        """Tell whether the key may have this value."""
        return value in self.values or (bool(self.prefixes) and value.startswith(self.prefixes))

    def within(self, other: "Limit") -> "Limit":
        """Return what both allow of the same key, perhaps nothing.

        It has at most as many prefixes, and as many values, as both together.
        """
        values = {it for it in self.values if other.allows(it)}
        values.update(it for it in other.values if self.allows(it))
        # Of two prefixes one of which begins with the other, the longer one is what both allow.
        longer = {it for it in self.prefixes if it.startswith(other.prefixes)}
        longer.update(it for it in other.prefixes if it.startswith(self.prefixes))
        return Limit(self.key, frozenset(values), _without_covered(longer))


def _without_covered(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes that are not longer than another one with the same beginning."""
    kept: list[str] = []
    # In this order what begins with a prefix follows it, and nothing else stands between.
    for prefix in sorted(prefixes):
        if not (kept and prefix.startswith(kept[-1])):
            kept.append(prefix)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on events: every limit must hold. Limits stand in the order of the keys.

    What a reader may see is one, too: what is not within it does not exist for them.
    """

    limits: tuple[Limit, ...] = ()

    @classmethod
    def of(cls, keys: Sequence[EventKey], wanted: Mapping[str, Iterable[str]]) -> "Filter":
        """Return the filter for some values of each of some keys, by the keys' names.

        No values do not limit. Of a key that takes prefixes, a value that ends in a star is one;
        the prefix of everything does not limit, whatever stands beside it.
        """
        limits = []
        for number, key in enumerate(keys):
            values = dict.fromkeys(wanted.get(key.name, ()))
            prefixes = [it[:-1] for it in values if key.takes_prefixes and it.endswith("*")]
            if not values or "" in prefixes:
                continue
            exact = frozenset(it for it in values if not (prefixes and it.endswith("*")))
            # In one form, so that filters which say the same are mostly equal.
            limits.append(Limit(number, exact, _without_covered(prefixes)))
        return cls(tuple(limits))

    @property
    def is_everything(self) -> bool:
        """Whether every event matches."""
        return not self.limits

    def within(self, visible: "Filter") -> "Filter":
        """Return a filter for what matches both."""
        if visible.is_everything:
            return self
        if self.is_everything:
            return visible
        limits = {it.key: it for it in self.limits}
        for limit in visible.limits:
            own = limits.get(limit.key)
            limits[limit.key] = limit if own is None else own.within(limit)
        return Filter(tuple(limits[key] for key in sorted(limits)))

    @property
    def size_bytes(self) -> int:
        """About how much memory a stream with this filter takes because of it."""
        values = (it for limit in self.limits for it in (*limit.values, *limit.prefixes))
        return sum(getsizeof(value) + _VALUE_BYTES for value in values)

    def matches(self, keys: Keys) -> bool:
        """Tell whether an event matches."""
        return all(limit.allows(keys[limit.key]) for limit in self.limits)

    @property
    def narrowest(self) -> Limit | None:
        """The limit to values that is likely to allow the fewest events; None if there is none."""
        return next((it for it in self.limits if not it.prefixes), None)

    def wake_keys(self) -> tuple[WakeKey, ...]:
        """Return keys of which every matching event has at least one, few others having any."""
        limit = self.narrowest
        return (ANY_EVENT,) if limit is None else tuple((limit.key, it) for it in limit.values)


def wake_keys_of(keys: Keys) -> list[WakeKey]:
    """Return all keys that an event wakes subscribers by."""
    found: list[WakeKey] = [ANY_EVENT]
    found += ((number, value) for number, value in enumerate(keys) if value)
    return found


# Lets every event through: what callers may see for as long as nobody asks who they are.
EVERYTHING = Filter()
