"""Travellers: subscribers that take their cursor from one gateway to the next.

They leave for no reason, when their stream ends, and when it has been silent for longer than a
heartbeat allows; and whichever gateway they come to, they go on where they were.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from time import monotonic

from tests.chaos.senders import CONFERENCES, TYPES
from tests.chaos.stage import Stage
from tests.oracle.history import After, Earliest, Opening, Place, Rest, Stream
from tests.oracle.model import Wanted
from tests.oracle.remote import RemoteReader

_HEARTBEAT_S = 1
# How long a stream may be silent before nobody believes in it any more, in seconds.
_SILENCE_S = 3.5

# How often is looked after all of them, and how long one waits that was let in nowhere, in seconds.
_LOOK_EVERY_S = 0.02
_AGAIN_S = 0.2

# How many of them leave for no reason, of all in a second.
_RESTLESS = 0.08

# So many follow everything, the rest one conference or one type of event.
_EVERYTHING = 0.2

# What a subscriber may be told that has asked for nothing wrong: try again.
RETRYABLE = frozenset({"UNAVAILABLE"})


class Traveller:
    """One subscriber, over all of its streams."""

    def __init__(self, name: str, stage: Stage, wanted: Wanted, drawn: random.Random) -> None:
        self.reader = RemoteReader(name, stage.log)
        self._stage = stage
        self._wanted = wanted
        self._drawn = drawn
        self.at = drawn.randrange(len(stage.replicas))
        self._heard = (0, 0.0)
        self._not_before = 0.0

    @property
    def stream(self) -> Stream:
        return self.reader.streams[-1]

    @property
    def wants_all(self) -> bool:
        return self._wanted == Wanted()

    def look_after(self, now: float) -> None:
        """Go on elsewhere if there is nothing to stay for."""
        ended, count = self.stream.ended is not None, len(self.stream.responses)
        if count != self._heard[0]:
            self._heard = (count, now)
        if now > self._not_before and (ended or now > self._heard[1] + _SILENCE_S):
            self._not_before = 0.0 if count else now + _AGAIN_S
            self.move(now)

    def move(self, now: float) -> None:
        self.reader.leave()
        self.at = self._drawn.randrange(len(self._stage.replicas))
        self.open(now)

    def open(self, now: float) -> None:
        had = [it for it in self.reader.streams if it.responses]
        place: Place = After(self.reader.cursor) if had else Earliest()
        opening = Opening(self._wanted, place, heartbeat_s=_HEARTBEAT_S)
        self._heard = (0, now)
        stream = self.reader.open(self._stage.channels[self.at], opening)
        stream.resumes = had[-1] if had else None

    def has_all(self, newest: int) -> bool:
        stored, stream = self._stage.log.model.era.stored, self.stream
        if not stream.responses or not stream.responses[-1].live:
            return False
        due = (
            number
            for number in range(newest, stream.start, -1)
            if self._wanted.matches(stored[number].event.fields)
        )
        return stream.position >= next(due, 0)


class Travellers:
    """Travel from construction to `gone`; quietly, as far as they are let, since `rest`."""

    def __init__(self, stage: Stage, count: int, drawn: random.Random) -> None:
        self._stage = stage
        self._drawn = drawn
        self._lock = threading.Lock()
        self._resting = False
        self._going = threading.Event()
        self.all = [
            Traveller(f"t{number}", stage, _wanted(number, count, drawn), drawn)
            for number in range(count)
        ]
        for replica in stage.replicas:
            replica.when_stopping = self._drained
        for traveller in self.all:
            traveller.open(monotonic())
        self._thread = threading.Thread(target=self._travel, daemon=True)
        self._thread.start()

    @property
    def streams(self) -> Sequence[Stream]:
        return [stream for traveller in self.all for stream in traveller.reader.streams]

    def ends(self) -> Counter[str]:
        """How streams ended that were not left: with OK, or with which status."""
        ends = (it.ended for it in self.streams)
        return Counter(
            it.reason if it.how == "broken" else it.how for it in ends if it and it.how != "left"
        )

    def longest_pause_s(self) -> float:
        """Return for how long at most somebody who follows everything got no event.

        From the first event to the last, wherever they came from.
        """
        return max(
            longest(
                at
                for stream in traveller.reader.streams
                for at, response in zip(stream.times, stream.responses, strict=True)
                if response.events
            )
            for traveller in self.all
            if traveller.wants_all
        )

    def rest(self, newest: int, within_s: float) -> None:
        """Wait until all have everything; who has not got it by then never will."""
        self._resting = True
        ends = monotonic() + within_s
        while True:
            with self._lock:  # nobody leaves meanwhile
                behind = [it.stream for it in self.all if not it.has_all(newest)]
                if behind and monotonic() > ends:
                    for stream in behind:
                        stream.rests.append(Rest(len(stream.responses), newest, silence=False))
                    return
            if not behind:
                return
            self._going.wait(_LOOK_EVERY_S)

    def gone(self) -> None:
        self._going.set()
        self._thread.join()
        for traveller in self.all:
            traveller.reader.leave()

    def _travel(self) -> None:
        while not self._going.wait(_LOOK_EVERY_S):
            with self._lock:
                for traveller in self.all:
                    traveller.look_after(monotonic())
                    if not self._resting and self._drawn.random() < _RESTLESS * _LOOK_EVERY_S:
                        traveller.move(monotonic())

    def _drained(self, gateway: int) -> None:
        known = self._stage.log.known
        with self._lock:
            for stream in (it.stream for it in self.all if it.at == gateway):
                if stream.ended is None:
                    stream.drained = known


def longest(times: Iterable[float]) -> float:
    """Return the longest time between two that follow one another."""
    return max((after - before for before, after in pairwise(sorted(times))), default=0.0)


def _wanted(number: int, count: int, drawn: random.Random) -> Wanted:
    if number < max(2, count * _EVERYTHING):
        return Wanted()
    if drawn.random() < 0.7:
        return Wanted(conference_ids=(drawn.choice(CONFERENCES),))
    return Wanted(types=(drawn.choice(TYPES),))
