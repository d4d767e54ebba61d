"""The window: the newest events of the log, in memory, for everybody who follows live."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from heapq import merge

from gateway.journal.events import Entry, Framed, Keys
from gateway.journal.filter import Filter
from gateway.journal.ports import Index

# Enough for a burst that outruns a subscriber for a few seconds; a few megabytes of memory.
ENTRIES_MAX = 10_000
BYTES_MAX = 16 * 1024 * 1024

# So many events are looked at one by one sooner than lists of them are found and merged.
_FEW = 256


class Window:
    """The newest events, found by number and by key.

    It holds the numbers above `start` up to `newest`, without holes. Subscribers hold a position
    in it, not a queue of their own; one that stands before `start` reads on from the log.
    """

    def __init__(
        self, newest: int, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        # Two lists in step: what is delivered, and what it is found by.
        self._frames: list[Framed] = []
        self._keys: list[Keys] = []
        # The numbers of the events that have a value of a key, by the key's number.
        self._by_key: defaultdict[int, dict[str, list[int]]] = defaultdict(dict)
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self.start = newest
        self.newest = newest

    @classmethod
    async def of(
        cls, index: Index, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX
    ) -> "Window":
        """Return a window that holds the newest events of an index already.

        So that those who come back after a restart, all at once, need not all read from disk. Who
        listens to the index before anything else happens in the loop hears of what follows on it.
        Raises LogUnavailableError.
        """
        recent = await _told(index, entries_max, bytes_max)
        window = cls(index.span.newest - len(recent), entries_max, bytes_max)
        if recent:
            window.extend(recent)
        return window

    def begin_after(self, number: int) -> None:
        """Hold nothing, and begin anew after a number."""
        self._frames, self._keys, self._bytes = [], [], 0
        self._by_key.clear()
        self.start = self.newest = number

    def begun_anew(self, newest: int) -> "Window":
        """Return an empty window with the same bounds, for a log that ends at a number."""
        return type(self)(newest, self._entries_max, self._bytes_max)

    def extend(self, entries: Sequence[Entry]) -> None:
        """Take in entries that follow on the newest one."""
        for framed, keys, _ in entries:
            self._frames.append(framed)
            self._keys.append(keys)
            self._bytes += len(framed.frame)
            sequence = framed.sequence
            for key, value in enumerate(keys):
                if value:
                    by_value = self._by_key[key]
                    found = by_value.get(value)
                    if found is None:
                        by_value[value] = [sequence]
                    else:
                        found.append(sequence)
        self.newest = self._frames[-1].sequence
        if len(self._frames) > self._entries_max or self._bytes > self._bytes_max:
            self._shed()

    def after(self, position: int, wanted: Filter, limit: int) -> list[Framed]:
        """Return up to `limit` matching events after a position that is not before `start`."""
        first = position - self.start
        if wanted.is_everything:
            return self._frames[first : first + limit]
        offset = self.start + 1
        found: list[Framed] = []
        for sequence in self._candidates(position, wanted):
            if wanted.matches(self._keys[sequence - offset]):
                found.append(self._frames[sequence - offset])
                if len(found) == limit:
                    break
        return found

    def _candidates(self, position: int, wanted: Filter) -> Iterator[int] | range:
        limit = wanted.narrowest or wanted.limits[0]
        if limit.prefixes and self.newest - position <= _FEW:
            return range(position + 1, self.newest + 1)
        by_value = self._by_key[limit.key]
        values = filter(limit.allows, by_value) if limit.prefixes else limit.values
        lists = (by_value.get(value) for value in values)
        return merge(*(found[bisect_right(found, position) :] for found in lists if found))

    def _shed(self) -> None:
        # A quarter at a time, so that cutting lists costs little for each event.
        keep_entries, keep_bytes = self._entries_max * 3 // 4, self._bytes_max * 3 // 4
        count = 0
        for framed in self._frames:
            if len(self._frames) - count <= keep_entries and self._bytes <= keep_bytes:
                break
            count += 1
            self._bytes -= len(framed.frame)
        columns = list(zip(*self._keys[:count], strict=True))
        del self._frames[:count], self._keys[:count]
        self.start += count
        for key, column in enumerate(columns):
            by_value = self._by_key[key]
            for value in filter(None, set(column)):
                found = by_value[value]
                if found[-1] <= self.start:  # most are about one call, and gone with it
                    del by_value[value]
                else:
                    del found[: bisect_right(found, self.start)]


async def _told(index: Index, entries_max: int, bytes_max: int) -> list[Entry]:
    """Return the newest events of an index, up to the one that its listeners heard of last.

    An index that is fed from elsewhere grows while it is read: what comes meanwhile is read too,
    and what is stored and not told yet is left to be told.
    """
    found: list[Entry] = []
    while True:
        limit = index.span.newest - found[-1].framed.sequence if found else entries_max
        read = await index.recent(limit, bytes_max)
        span = index.span
        known = found[-1].framed.sequence if found else 0
        come = [it for it in read if known < it.framed.sequence <= span.newest]
        if found and come and come[0].framed.sequence > known + 1:
            found = []  # more has come than was asked for
        found += come
        if (found[-1].framed.sequence if found else span.oldest - 1) >= span.newest:
            return found
        if not come:
            return []  # it is larger than may be held
