"""A recorded feed, sent once more: each event as a signed webhook, with the recorded spacing."""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.sandbox.clock import Clock
from gateway.sandbox.events import Event
from gateway.sandbox.scenario.pace import Pace, told_at
from gateway.sandbox.scenario.performance import ROUND_MIN_S

# Webhooks under way at which a replay without spacing waits until they are delivered.
UNDER_WAY_MAX = 500

# Real seconds that it waits for them at a time.
_WAIT_S = 60.0

# Events between two words of a replay without spacing.
_TELL_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was recorded."""

    # When it was received, in seconds since 1970.
    at: float
    # `data` of the webhook: the event's id, type and payload.
    data: Mapping[str, Any]


class Deliveries(Protocol):
    """Where webhooks are put to be posted."""

    @property
    def pending(self) -> int:
        """Webhooks whose delivery is not yet decided."""

    def publish(self, event: Event) -> None:
        """Send the event on its way."""

    async def wait(self, seconds: float) -> None:
        """Wait until nothing is pending, so many real seconds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded feed, and how it is to be sent."""

    # What it is called, for people.
    name: str
    count: int
    # Reads the events from the beginning, in order.
    events: Callable[[], Iterator[RecordedEvent]]
    # Without the recorded spacing, as fast as they are taken.
    fast: bool = False
    # Under ids of their own, for a log that has these events already.
    new_ids: bool = False


class Replay:
    """One recording on its way. `tell` gets a line for people."""

    kind = "replay"

    def __init__(
        self,
        recording: Recording,
        deliveries: Deliveries,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.rounds = 0
        self.position = 0
        self.failures = 0
        self._recording = recording
        self._deliveries = deliveries
        self._clock = clock
        self._tell = tell
        self._pace = Pace(clock)

    @property
    def name(self) -> str:
        """What the recording is called."""
        return self._recording.name

    @property
    def count(self) -> int:
        """How many events there are."""
        return self._recording.count

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves, or it is over."""
        await self._pace.settled()

    async def play(self, *, loop: bool = False) -> None:
        """Send all events, and in a loop again, each time under new ids."""
        try:
            while True:
                beginning = self._clock.now()
                await self._play_once(new_ids=self._recording.new_ids or self.rounds > 0)
                if not loop:
                    return
                # Time has to pass, or others would never have their turn.
                await self._pace.until(beginning + ROUND_MIN_S)
        finally:
            self._pace.end()

    async def _play_once(self, *, new_ids: bool) -> None:
        self.rounds += 1
        self.position = 0
        beginning = self._clock.now()
        first: float | None = None
        due = 0.0
        for recorded in self._recording.events():
            first = recorded.at if first is None else first
            # Clocks may have been set back while it was recorded; the order is that of the log.
            due = max(due, recorded.at - first)
            if self._recording.fast:
                await self._make_room()
            else:
                await self._pace.until(beginning + due)
            data = dict(recorded.data)
            if new_ids:
                data["id"] = str(uuid.uuid4())
            self._deliveries.publish(Event(str(data["id"]), str(data["event_type"]), data))
            self.position += 1
            if not self._recording.fast or self.position % _TELL_EVERY == 0:
                self._say(due, str(data["event_type"]))
        if self._recording.fast:
            await self._deliveries.wait(_WAIT_S)

    async def _make_room(self) -> None:
        while self._deliveries.pending >= UNDER_WAY_MAX:
            await self._deliveries.wait(_WAIT_S)
        if self.position % 100 == 0:
            # Others have their turn, also where webhooks go nowhere.
            await asyncio.sleep(0)

    def _say(self, due: float, type_: str) -> None:
        self._tell(f"{told_at(due, self.position, self.count)}  {type_}")
