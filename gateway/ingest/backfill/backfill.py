"""The background work: when to sweep, over which span, and what is logged of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.clock import Clock, ClockState, Moment
from gateway.ingest.backfill.beginning import (
    OVERLAP_S,
    SETTLE_S,
    Beginning,
    Reached,
    beginning,
    is_credible,
    kept_since_us,
)
from gateway.ingest.backfill.complete import Complete, Completeness
from gateway.ingest.backfill.fetch import SWEEP_REQUESTS_MAX, Reach
from gateway.ingest.backfill.report import Report, State
from gateway.ingest.backfill.sweep import Sweeper
from gateway.journal.errors import LogUnavailableError
from gateway.journal.leasing import LeaseLostError
from gateway.journal.ports import Index
from gateway.journal.reading import Measures
from gateway.records.backfill import Cause, DeliveryChecked, SweepEnded, Verdict
from gateway.records.observer import Observer, ignore
from gateway.upstream.deliveries import moment_text
from gateway.upstream.errors import UpstreamError

# After a failed write, in seconds: the provider's own retry comes first, and the disk may have
# room again by then.
FAILED_WRITE_DELAY_S = 10.0

# The first pause after a failed sweep, in seconds; further ones double up to the interval.
_FIRST_PAUSE_S = 1.0

_OVERLAP_US = round(OVERLAP_S * 1e6)

_log = logging.getLogger(__name__)


async def _nobody_to_ask() -> None:
    """Stands for a provider that does not say its time."""


class Backfill:
    """Keeps the log complete. `run` it in the background, and report webhooks to it.

    Everything that was sent is fetched after a start, after a failed write and in silence; while
    webhooks come in, only what the provider could not deliver. `now` gives the time in seconds
    since 1970, `clock` that of a clock nobody sets, and `time` knows whether the first is right; by
    default it uses these two. `ask_time` has the provider say its time, if it will. `check` raises
    LeaseLostError when another gateway may be doing this by now.

    A sweep that fails is retried after a pause, and never before the provider wants a retry.
    """

    def __init__(
        self,
        sweeper: Sweeper,
        index: Index,
        completeness: Completeness,
        retention_age_s: float,
        interval_s: float,
        now: Callable[[], float],
        *,
        observe: Observer[DeliveryChecked | SweepEnded] = ignore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
        time: Clock | None = None,
        ask_time: Callable[[], Awaitable[None]] = _nobody_to_ask,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._sweeper = sweeper
        self._index = index
        self._completeness = completeness
        self._retention_age_s = retention_age_s
        self._interval_s = interval_s
        self._time = time or Clock(now, clock)
        self._ask_time = ask_time
        self._check = check
        self._observe = observe
        self._sleep = sleep
        self._clock = clock
        self._running = False
        self._failed_sweeps = 0
        # When the provider wants a retry, by `clock`.
        self._not_before = clock()
        self._stored = 0
        self._finished_at_us: int | None = None
        self._error = ""
        self._heard_at = clock()
        # Whether the mark has to be read again: somebody else may have moved it.
        self._reads_anew = False
        # What makes a full sweep necessary, and since when: until one that began `SETTLE_S` later.
        self._suspicion: tuple[Cause, float] | None = (Cause.START, clock())
        self._started = False
        self._reached: Reached | None = None
        # The log that all of this is about.
        self._epoch = index.epoch
        self._logged_rest = False
        self._nudge = asyncio.Event()

    @property
    def report(self) -> Report:
        """The state of backfill."""
        state = State.IDLE
        if self._running:
            state = State.RUNNING
        elif self._error:
            state = State.FAILING
        return Report(
            state,
            self._complete,
            self._finished_at_us,
            self._stored,
            self._error,
            self._sweeper.unreadable_entries,
            self._sweeper.skipped_pieces,
        )

    @property
    def _complete(self) -> Complete | None:
        """The period the log is marked complete for, or what is known if that cannot be true."""
        complete, now = self._completeness.complete, self._time.now()
        if complete is None or is_credible(complete, now):
            return complete
        since_us = until_us = complete.since_us
        if (reached := self._reached_by(now)) is not None:
            since_us, until_us = max(since_us, reached.since_us), reached.until_us
        until_us = min(until_us, now.latest_us)
        return Complete(min(since_us, until_us), until_us)

    def _reached_by(self, now: Moment) -> Reached | None:
        return None if self._reached is None else self._reached.by(now, self._clock())

    def webhook_received(self, result: str) -> None:
        """Take note of a request to the webhook address and how it ended (see `Received`)."""
        if result in ("stored", "duplicate"):
            self._heard_at = self._clock()
        elif result == "log_unavailable":
            self._suspicion = (Cause.FAILED_WRITE, self._clock())
            self._nudge.set()

    def events_came(self) -> None:
        """Take note of new events, whichever gateway has stored them; not of a sweep's own."""
        if not self._running:
            self._heard_at = self._clock()

    async def take_over(self) -> None:
        """Begin as after a start, where another gateway may have gone on meanwhile; then `run`."""
        self._suspicion = (Cause.START, self._clock())
        self._started = False
        self._reached = None
        self._error = ""
        self._failed_sweeps = 0
        self._reads_anew = True
        await self.run()

    async def run(self) -> None:
        """Sweep whenever there is reason to, until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            self._nudge.clear()
            # Before anything else is decided: what is complete then is of the same log, or fails.
            self._begin_anew_with_the_log()
            cause = self._cause()
            ended = await self._sweep(cause)
            self._observe(ended)
            if ended.succeeded:
                pause = _FIRST_PAUSE_S
                await self._wait()
            else:
                await self._sleep(max(pause, self._not_before - self._clock()))
                pause = min(pause * 2, self._interval_s)

    def _cause(self) -> Cause:
        if self._suspicion is not None:
            return self._suspicion[0]
        if self._clock() - self._heard_at >= self._interval_s:
            return Cause.SILENCE
        return Cause.ROUTINE

    async def _wait(self) -> None:
        """Return after the interval, or soon after a webhook could not be stored."""
        interval = asyncio.ensure_future(self._sleep(self._interval_s))
        nudged = asyncio.ensure_future(self._nudge.wait())
        try:
            await asyncio.wait({interval, nudged}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            interval.cancel()
            nudged.cancel()
        if self._nudge.is_set():
            await self._sleep(min(FAILED_WRITE_DELAY_S, self._interval_s))

    async def _sweep(self, cause: Cause) -> SweepEnded:
        began_at = self._clock()
        stored_before = self._stored

        def ended(error: str | None = None) -> SweepEnded:
            stored = self._stored - stored_before
            return SweepEnded(cause, began_at, self._clock() - began_at, stored, error)

        self._running = True
        try:
            if self._reads_anew:
                await self._completeness.reload()
                self._reads_anew = False
            # What comes in while the provider says its time was not missed.
            held = await self._index.measures()
            await self._look_at_the_time()
            now = self._time.now()
            start = await self._beginning(held, now)
            is_all = True
            if start is not None:
                final_us = now.earliest_us - _OVERLAP_US
                is_all = await self._sweeper.sweep(
                    start.since_us,
                    lambda: self._reach(held, now.latest_us, final_us),
                    self._delivery_seen,
                    lambda until_us: self._mark_complete(start.since_us, min(until_us, final_us)),
                    failed_only=cause is Cause.ROUTINE,
                    failed_before=self._failed_sweeps,
                )
            else:
                # From when on webhooks may have come, not from when the provider has responded.
                took_s = self._clock() - began_at
                self._check()
                await self._completeness.mark(now.earliest_us - round(took_s * 1e6))
        except (UpstreamError, LogUnavailableError) as error:
            if isinstance(error, UpstreamError) and error.retry_after is not None:
                self._not_before = self._clock() + error.retry_after
            self._error = str(error)
            self._failed_sweeps += 1
            # A mark that failed may be there all the same, or be another gateway's.
            self._reads_anew = True
            return ended(self._error)
        except LeaseLostError:
            raise
        except Exception:
            # A fault of the gateway: whoever runs this logs it, and restarts it.
            self._error = "it failed unexpectedly; the gateway's log has the cause"
            self._observe(ended("it failed unexpectedly"))
            raise
        finally:
            self._running = False
        self._error = ""
        self._failed_sweeps = 0
        self._finished_at_us = self._time.now().likely_us
        self._log_rest(is_all=is_all)
        if is_all:
            self._started = True
            if self._suspicion is not None and began_at >= self._suspicion[1] + SETTLE_S:
                self._suspicion = None
        return ended()

    def _begin_anew_with_the_log(self) -> None:
        """Forget what was read into a log that is not there any more."""
        if self._index.epoch != self._epoch:
            self._epoch, self._reached, self._started = self._index.epoch, None, False
            self._suspicion, self._reads_anew = (Cause.START, self._clock()), True

    def _log_rest(self, *, is_all: bool) -> None:
        """Log, once, that the delivery log has more than one sweep fetches."""
        if not is_all and not self._logged_rest:
            reached = self._reached
            _log.warning(
                "backfill has made %d requests without reaching the end of the provider's delivery"
                " log: it is complete until %s and continues each interval",
                SWEEP_REQUESTS_MAX,
                "its start" if reached is None else moment_text(reached.until_us),
            )
        self._logged_rest = not is_all

    def _reach(self, held: Measures, until_us: int, final_us: int) -> Reach:
        """Return what a sweep that was to fetch up to `until_us` has to fetch by now."""
        now = self._time.now()
        return Reach(
            kept_since_us(held, now, self._retention_age_s),
            min(final_us, now.earliest_us - _OVERLAP_US),
            now.likely_us,
            min(until_us, now.latest_us),
        )

    async def _look_at_the_time(self) -> None:
        """Have the provider say its time, unless it has confirmed the time already.

        Raises UpstreamError if the provider wants to be left alone for now.
        """
        if self._time.now().state is not ClockState.CONFIRMED:
            self._check()
            try:
                await self._ask_time()
            except UpstreamError as error:
                if error.retry_after is not None:
                    raise  # nothing is to be requested next
                return  # the next request fails for the same reason, and says so
            now = self._time.now()
            if now.state is ClockState.SUSPECT:
                why = "it was set, and the provider has not confirmed it"
                if now.ahead is not None and now.earliest < now.latest:
                    why = (
                        f"it is {now.ahead:.0f} s ahead of the Date in the provider's responses,"
                        " and it is unknown which is right"
                    )
                elif now.ahead is not None:
                    why = f"it is {now.ahead:.0f} s ahead of the provider's"
                _log.error("the machine's clock is not trusted: %s", why)

    async def _mark_complete(self, since_us: int, until_us: int) -> None:
        """Take note that everything between two moments is stored."""
        # The provider may have said its time since.
        now = self._time.now()
        until_us = min(until_us, now.earliest_us - _OVERLAP_US)
        self._check()
        await self._completeness.mark(until_us)
        read, before = Reached(since_us, until_us, self._clock()), self._reached_by(now)
        self._reached = read if before is None else before.and_then(read)

    async def _beginning(self, held: Measures, now: Moment) -> Beginning | None:
        complete, is_first = self._completeness.complete, not self._started
        start = beginning(
            complete,
            held,
            now,
            self._retention_age_s,
            is_first=is_first,
            reached=self._reached_by(now),
        )
        if start is not None and start.corrected is not None:
            _log.warning(
                "the watermark was set by a clock that was ahead: fetching everything sent since %s"
                " again",
                moment_text(start.since_us),
            )
            self._check()
            await self._completeness.correct(start.corrected)
        return start

    def _delivery_seen(self, verdict: Verdict) -> None:
        if verdict is Verdict.STORED:
            self._stored += 1
        self._observe(DeliveryChecked(verdict))
