"""Dispatch: who is given what, and who is woken for it.

New entries wake only those whose keys they have. So nothing need be read to know that nothing
matched: what has come since a subscriber had looked at everything, and has none of its keys, is
passed by. Its position follows when somebody asks.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from gateway.feed.batch import Audience, batch_of
from gateway.feed.rounds import Rounds
from gateway.feed.window import Window
from gateway.journal.cursor import Cursors
from gateway.journal.events import Entry
from gateway.journal.filter import Filter, WakeKey, wake_keys_of
from gateway.journal.reading import Batch
from gateway.records.deliveries import RoundEnded
from gateway.records.observer import Observer, ignore

# Positions whose batches are kept at hand for the next who asks: more than subscribers in step
# have.
_SHARED_MAX = 1_000


class Follower(Protocol):
    """Who follows the feed, and sleeps while there is nothing for it."""

    def wake(self) -> bool:
        """Have it look for what has come; false if it is awake anyway."""

    def concern(self, passed_by: int) -> None:
        """Take note of a round that has something for it, and nothing up to a position."""

    def grown(self) -> None:
        """Take note that the index has events that were given before they were in it."""

    def let_go(self) -> None:
        """Have it end when it has what has come so far."""

    @property
    def caller(self) -> str:
        """The name of who follows."""

    @property
    def backlog(self) -> int:
        """How many events it has yet to look at."""


class Dispatcher:
    """The window, and everybody who follows it."""

    def __init__(self, window: Window, cursors: Cursors) -> None:
        # Another one, and other cursors, when the log has begun anew.
        self.window = window
        self.cursors = cursors
        # Most keys have one follower: a tuple takes a third of a set's memory.
        self._sleepers: dict[WakeKey, tuple[Follower] | set[Follower]] = {}
        self._followers: set[Follower] = set()
        self._audiences: WeakValueDictionary[tuple[Filter, int], Audience] = WeakValueDictionary()
        # What followers at one position were given since the newest event came.
        self._shared: dict[tuple[int, Audience], Batch] = {}
        # What has come since the last round, and by what keys.
        self._arrivals: list[Entry] = []
        self._end = window.newest
        self._due: set[WakeKey] = set()
        # The newest event when the last round began: whoever has a key of it has been told so.
        self._rounded = window.newest
        # How many events have come since the last round, and when the first was received.
        self._fresh = 0
        self._fresh_since_us = 0
        # Of the round that is running.
        self._round: tuple[int, int] = (0, 0)
        self._rounds = Rounds(self._concerned, woken=self._woken)
        # Who hears of rounds, and the time that it is, in seconds since 1970.
        self._observe: Observer[RoundEnded] = ignore
        self._wall: Callable[[], float] = time.time

    @property
    def followers(self) -> int:
        """How many there are."""
        return len(self._followers)

    @property
    def everybody(self) -> Collection[Follower]:
        """All of them."""
        return self._followers

    def tell(self, observe: Observer[RoundEnded], wall: Callable[[], float] = time.time) -> None:
        """Tell `observe` of each round from now on; `wall` gives the time in seconds since 1970."""
        self._observe, self._wall = observe, wall

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        self.take_in()
        return self.window.newest

    def arrived(self, entries: Sequence[Entry]) -> None:
        """Take entries that follow one another, and wake whom they concern in the next round.

        An entry that has come before, from wherever, is the same one: it is passed over.
        """
        first = entries[0].framed.sequence
        if first != self._end + 1:
            if first > self._end:
                self._go_on_after(first - 1)
            else:
                for follower in list(self._followers):
                    follower.grown()
                entries = entries[self._end + 1 - first :]
                if not entries:
                    return
        self._end = entries[-1].framed.sequence
        if not self._fresh:
            self._fresh_since_us = entries[0].received_at_us
        self._fresh += len(entries)
        self._arrivals += entries
        self._rounds.ask()

    def take_in(self) -> None:
        """Let followers see what has arrived; those who sleep are woken in the next round."""
        if self._arrivals:
            arrivals, self._arrivals = self._arrivals, []
            self._shared.clear()
            self.window.extend(arrivals)
            for entry in arrivals:
                self._due.update(wake_keys_of(entry.keys))

    def _go_on_after(self, number: int) -> None:
        """Begin the window anew after a number: what comes before it there is in the index alone.

        Or nowhere any more. Whoever has not come so far must look there, and is told what is lost.
        """
        self.take_in()
        self.window.begin_after(number)
        self._shared.clear()
        for follower in list(self._followers):
            follower.concern(self._rounded)
            follower.wake()

    def begin_anew(self, newest: int, cursors: Cursors) -> None:
        """Forget all that has come, and wake everybody: the log is another, and ends at a number.

        Followers see it by the window.
        """
        self.window, self.cursors = self.window.begun_anew(newest), cursors
        self._arrivals, self._due, self._fresh = [], set(), 0
        self._rounded = self._end = newest
        self._shared.clear()
        for follower in list(self._followers):
            follower.wake()

    def audience(self, wanted: Filter, batch_max: int) -> Audience:
        """Return the one audience of all who want this."""
        place = (wanted, batch_max)
        found = self._audiences.get(place)
        if found is None:
            found = self._audiences[place] = Audience(wanted, batch_max)
        return found

    def batch_after(self, position: int, audience: Audience) -> Batch:
        """Return what comes after a position in the window."""
        place = (position, audience)
        batch = self._shared.get(place)
        if batch is None:
            window, limit = self.window, audience.batch_max
            batch = batch_of(window.after(position, audience.wanted, limit), window.newest, limit)
            # Streams that come and go while no event comes must not add up.
            if batch.frames and len(self._shared) < _SHARED_MAX:
                self._shared[place] = batch
        return batch

    def passed_by(self, keys: Sequence[WakeKey]) -> int:
        """Return up to where nothing has come for one of these keys that no round has told."""
        return self.window.newest if self._due.isdisjoint(keys) else self._rounded

    def add(self, follower: Follower, keys: Sequence[WakeKey]) -> None:
        """Have a follower woken for these keys."""
        self._followers.add(follower)
        sleepers = self._sleepers
        for key in keys:
            found = sleepers.get(key)
            if found is None:
                sleepers[key] = (follower,)
            elif isinstance(found, tuple):
                sleepers[key] = {*found, follower}
            else:
                found.add(follower)

    def remove(self, follower: Follower, keys: Sequence[WakeKey]) -> None:
        """Let a follower go that was added with these keys."""
        self._followers.discard(follower)
        for key in keys:
            found = self._sleepers.get(key, ())
            if isinstance(found, set) and len(found) > 1:
                found.discard(follower)
            elif follower in found:
                del self._sleepers[key]

    def _concerned(self) -> list[Follower]:
        """Begin a round: take in what has arrived, and return who waits for it."""
        self.take_in()
        self._round, self._fresh = (self._fresh, self._fresh_since_us), 0
        due, self._due = self._due, set()
        # Each of them once, however many events and keys concern it; in the same order each time.
        concerned = list({it: None for key in due for it in self._sleepers.get(key, ())})
        for follower in concerned:
            follower.concern(self._rounded)
        self._rounded = self.window.newest
        return concerned

    def _woken(self, count: int) -> None:
        """Take note that all whom a round concerns have been woken."""
        if count:
            # They write in the turns of the loop that they have been given, which come before this.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._round_ended, *self._round, count)

    def _round_ended(self, events: int, since_us: int, streams: int) -> None:
        # A clock that was set back says nothing.
        lag_s = max(0.0, self._wall() - since_us / 1e6)
        self._observe(RoundEnded(events, streams, lag_s))
