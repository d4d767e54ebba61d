"""The background work: when to sweep, over which span, and what is told of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.backfill.report import Cause, Outcome, Report, State, SweepEnded
from gateway.backfill.sweep import Sweeper
from gateway.errors import GatewayError
from gateway.events.log import EventLog, LogUnavailableError

# For how long a delivery is not final, in seconds: the provider repeats for 60 s, each try has its
# own timeout, and only then is the outcome in its log.
SETTLE_S = 120.0

# How far apart the provider's clock and this one may be, in seconds: webhooks that are further off
# are refused. Spans of time are by this clock, deliveries by the provider's.
CLOCKS_APART_S = 300.0

# How far each sweep reaches back into what the one before has looked at.
OVERLAP_S = SETTLE_S + CLOCKS_APART_S

# How much further the first sweep reaches back, in seconds: clocks may have been set meanwhile,
# and what is held already costs no more than a look.
START_MARGIN_S = 900.0

# After a failed write, in seconds: the provider's own repeat comes first, and the disk may have
# room again by then.
FAILED_WRITE_DELAY_S = 10.0

# The first pause after a failed sweep, in seconds; further ones double up to the interval.
_FIRST_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


class Backfill:
    """Keeps the log complete. `run` it beside everything else, and tell it of webhooks.

    Everything that was sent is asked for after a start, a failed write and in silence; while
    webhooks come in, only what the provider could not deliver. `now` gives the time in seconds
    since 1970, `clock` that of a clock nobody sets.
    """

    def __init__(
        self,
        sweeper: Sweeper,
        log: EventLog,
        retention_age_s: float,
        interval_s: float,
        now: Callable[[], float],
        *,
        observe_delivery: Callable[[Outcome], None] = lambda outcome: None,
        observe_sweep: Callable[[SweepEnded], None] = lambda ended: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._sweeper = sweeper
        self._event_log = log
        self._retention_age_s = retention_age_s
        self._interval_s = interval_s
        self._now = now
        self._observe_delivery = observe_delivery
        self._observe_sweep = observe_sweep
        self._sleep = sleep
        self._clock = clock
        self._running = False
        self._stored = 0
        self._finished_at_us: int | None = None
        self._error = ""
        self._heard_at = clock()
        # What makes a full sweep necessary, and since when: until one that began `SETTLE_S` later.
        self._suspicion: tuple[Cause, float] | None = (Cause.START, clock())
        self._started = False
        self._nudge = asyncio.Event()

    @property
    def report(self) -> Report:
        """How it stands."""
        state = State.IDLE
        if self._running:
            state = State.RUNNING
        elif self._error:
            state = State.FAILING
        return Report(
            state,
            self._event_log.complete,
            self._finished_at_us,
            self._stored,
            self._error,
        )

    def webhook_received(self, outcome: str) -> None:
        """Take note of a request to the webhook address and how it ended (see `Received`)."""
        if outcome in ("stored", "duplicate"):
            self._heard_at = self._clock()
        elif outcome == "log_unavailable":
            self._suspicion = (Cause.FAILED_WRITE, self._clock())
            self._nudge.set()

    async def run(self) -> None:
        """Sweep whenever there is reason to, until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            self._nudge.clear()
            cause = self._cause()
            succeeded = await self._sweep(cause)
            self._observe_sweep(SweepEnded(cause, succeeded))
            if succeeded:
                pause = _FIRST_PAUSE_S
                await self._wait()
            else:
                await self._sleep(pause)
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

    async def _sweep(self, cause: Cause) -> bool:
        began_at, began_at_us = self._clock(), round(self._now() * 1e6)
        final_us = began_at_us - round(OVERLAP_S * 1e6)
        stored_before = self._stored
        self._running = True
        try:
            since_us = await self._since_us(began_at_us)
            if since_us is not None:
                await self._sweeper.sweep(
                    since_us,
                    began_at_us,
                    self._delivery_seen,
                    lambda until_us: self._event_log.mark_complete(min(until_us, final_us)),
                    failed_only=cause is Cause.ROUTINE,
                )
            else:
                await self._event_log.mark_complete(began_at_us)
        except (GatewayError, LogUnavailableError) as error:
            _log.warning("back-fill (%s) failed and will be tried again: %s", cause.value, error)
            self._error = str(error)
            return False
        except Exception:
            # A mistake of ours: whoever runs this logs it, and begins again.
            self._error = "it failed unexpectedly; the gateway's log has the cause"
            self._observe_sweep(SweepEnded(cause, False))
            raise
        finally:
            self._running = False
        stored = self._stored - stored_before
        if stored:
            _log.info("back-fill (%s) stored %d events that had been missed", cause.value, stored)
        self._error = ""
        self._started = True
        self._finished_at_us = round(self._now() * 1e6)
        if self._suspicion is not None and began_at >= self._suspicion[1] + SETTLE_S:
            self._suspicion = None
        return True

    async def _since_us(self, until_us: int) -> int | None:
        """Return where a sweep has to begin, None if there was nothing before."""
        info = await self._event_log.info()
        complete = self._event_log.complete
        known_us = complete.until_us if complete else info.newest_received_at_us
        if known_us is None:
            return None
        margin_s = 0.0 if self._started else START_MARGIN_S
        since_us = min(known_us, until_us - round(OVERLAP_S * 1e6)) - round(margin_s * 1e6)
        if complete is not None and complete.since_us < until_us:
            # What was sent before there was a log was not missed. (A clock that was ahead when the
            # log began tells nothing.)
            since_us = max(since_us, complete.since_us)
        # What retention has deleted must not come back as new.
        kept_since_us = until_us - round(self._retention_age_s * 1e6)
        if info.deleted_received_at_us is not None:
            kept_since_us = max(kept_since_us, info.deleted_received_at_us + 1)
        return max(since_us, kept_since_us)

    def _delivery_seen(self, outcome: Outcome) -> None:
        if outcome is Outcome.STORED:
            self._stored += 1
        self._observe_delivery(outcome)
