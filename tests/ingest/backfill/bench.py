"""Backfill on a bench: a real log on disk, a provider in memory, and clocks that a test sets."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from conferencing.v1.event_pb2 import Event
from gateway.clock import Clock
from gateway.feed.frames import event_of
from gateway.ingest.backfill.backfill import Backfill
from gateway.ingest.backfill.complete import Complete, Completeness
from gateway.ingest.backfill.holding import SourceWhileHeld
from gateway.ingest.backfill.sweep import Addressees, Sweeper
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.leasing import LeaseLostError, Work
from gateway.journal.ports import Broadcast, Checkpoints, EventLog, Index, Journal
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from gateway.records.backfill import Cause, DeliveryChecked, SweepEnded, Verdict
from tests.harness.clock import MachineClock
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread
from tests.ingest.backfill.deliveries import DeliveryLog

INTERVAL_S = 60.0
DAY_S = 86_400.0
START = 1_800_000_000.0

# Of the provider's log: few, so that a sweep needs many pages.
PAGE_SIZE = 3


class _EnoughError(Exception):
    """Ends backfill, which would go on for ever."""


class BenchLease:
    """A `Lease` that is held for as long as a test says."""

    holder = "bench"

    def __init__(self) -> None:
        self.is_held = True

    def check(self) -> None:
        if not self.is_held:
            raise LeaseLostError

    async def hold(self, work: Work) -> None:
        await work()


class _AsItIs:
    """One port of whichever log there is now."""

    def __init__(self, port: Callable[[], object]) -> None:
        self._port = port

    def __getattr__(self, name: str) -> object:
        return getattr(self._port(), name)


class Bench:
    """Backfill with a clock that a test moves, in front of a delivery log in memory."""

    def __init__(
        self,
        loop: LoopThread,
        folder: Path,
        page_size: int = PAGE_SIZE,
        retention_age_s: float = 7 * DAY_S,
        *,
        tells_time: bool = False,
    ) -> None:
        self.loop = loop
        self.folder = folder
        self.clock = MachineClock(START)
        # Whether the provider's responses have a date.
        self.tells_time = tells_time
        # How far that date is ahead, and what it is for ever, if it stands still.
        self.date_ahead = 0.0
        self.date_frozen: float | None = None
        self.before_time: Callable[[], None] = lambda: None
        self.retention_age_s = retention_age_s
        self.provider = DeliveryLog(page_size)
        self.verdicts: Counter[Verdict] = Counter()
        self.sweeps: list[SweepEnded] = []
        self.pauses: list[float] = []
        self.asked_for_the_time_at: list[float] = []
        # A sleep of this length, in seconds, ends only when it is cancelled.
        self.endless_s: float | None = None
        # How many more sweeps to let happen.
        self._left = 0
        self._open()

    def _open(self) -> None:
        self.time = Clock(self.clock, self.clock.steady)
        self.lease = BenchLease()
        self._now = self.loop.run(open_log(self.folder / "events.db", FORMAT))
        self.log = EventLog(
            "one that can be replaced",
            cast(Journal, _AsItIs(lambda: self._now.journal)),
            cast(Index, _AsItIs(lambda: self._now.index)),
            cast(Checkpoints, _AsItIs(lambda: self._now.checkpoints)),
            cast(Broadcast, _AsItIs(lambda: self._now.broadcast)),
            self.lease,
            self._close_log,
        )
        self.completeness = self.loop.run(Completeness.begin(self.log))
        self.provider.before_answer = lambda request: self._tell_time()
        sweeper = Sweeper(
            SourceWhileHeld(self.provider, self.lease),
            WebhookDecoder(),
            self.log.journal,
            Addressees(),
            lambda: self.time.now().likely,
            self._sleep,
        )
        self.backfill = Backfill(
            sweeper,
            self.log.index,
            self.completeness,
            self.retention_age_s,
            INTERVAL_S,
            self.clock,
            observe=self._observe,
            sleep=self._sleep,
            clock=self.clock.steady,
            time=self.time,
            ask_time=self._ask_time,
            check=self.lease.check,
        )

    @property
    def complete(self) -> Complete | None:
        return self.completeness.complete

    def prune(self) -> int:
        retention = Retention(self.retention_age_s, 10**9)
        return self.loop.run(self.log.index.prune(retention, self.time.for_deleting()))

    async def _close_log(self) -> None:
        await self._now.close()

    def replace_log(self) -> None:
        """Have the log be another one, which is empty, under everybody who has it open."""
        before = self._now
        self._now = self.loop.run(open_log(self.folder / "another.db", FORMAT))
        self.loop.run(before.close())

    def restart(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self.loop.run(self.log.close())

    def sweep(self, times: int = 1) -> list[SweepEnded]:
        """Let backfill run until it has made so many sweeps, as fast as it can."""
        self.sweeps.clear()
        self.pauses.clear()
        self._left = times

        return self._run(self.backfill.run)

    def take_over(self) -> list[SweepEnded]:
        """Let backfill begin where another gateway has come to, and make one sweep."""
        self.sweeps.clear()
        self._left = 1
        return self._run(self.backfill.take_over)

    def _run(self, work: Work) -> list[SweepEnded]:
        async def run() -> None:
            with suppress(_EnoughError):
                await work()

        self.loop.run(run())
        return self.sweeps

    def received(self, *ids: str) -> None:
        """Have webhooks come in as they should."""
        for id_ in ids:
            event = new_event(id_=id_, received_at_us=self.us)
            self.loop.run(self.log.journal.append(event))
            self.backfill.webhook_received("stored")
            self.time.webhook_verified()

    @property
    def us(self) -> int:
        return round(self.clock.now * 1e6)

    @property
    def held(self) -> list[Event]:
        batch = self.loop.run(
            self.log.index.read(self.log.index.span.oldest - 1, Filter(), 10_000, EVERYTHING)
        )
        return [Event.FromString(event_of(it.frame)) for it in batch.frames]

    @property
    def held_ids(self) -> list[str]:
        return [event.id for event in self.held]

    async def _ask_time(self) -> None:
        self.asked_for_the_time_at.append(self.clock.true)
        self.before_time()
        if self.provider.failure is not None:
            raise self.provider.failure
        self._tell_time()

    def _tell_time(self) -> None:
        if self.tells_time:
            date = self.clock.true + self.date_ahead
            self.time.provider_time(float(int(self.date_frozen or date)))

    def _observe(self, record: DeliveryChecked | SweepEnded) -> None:
        if isinstance(record, DeliveryChecked):
            self.verdicts.update([record.verdict])
            return
        self.sweeps.append(record)
        self._left -= 1
        if self._left == 0:
            raise _EnoughError

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if seconds == self.endless_s:
            await asyncio.Event().wait()
        self.clock.advance(seconds)
        await asyncio.sleep(0)


def summaries(sweeps: Sequence[SweepEnded]) -> list[tuple[Cause, bool]]:
    """Return of each sweep why it was made, and whether it has succeeded."""
    return [(it.cause, it.succeeded) for it in sweeps]
