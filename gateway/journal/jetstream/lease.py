"""The lease: a key of the bucket, which the gateway that holds it renews.

Clocks of machines are never compared. The holder counts from when it sent a renewal that was
stored, on a clock of its own; the others count from when they first saw the key's revision, on
theirs. Each renewal and each taking over replaces a revision that was seen, so of several that
want the lease one gets it, and a holder that was replaced cannot renew.

The holder stops some time before the others may begin, by whichever clock: a process that was held
up (a debugger, a machine without processor time) finds out when it asks whether it holds the
lease, before anything that matters. One case is left: a machine that sleeps or is moved, whose
clocks stand still. What it sends then is refused where it is fenced, as checkpoints are.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import LogUnavailableError, OutdatedError
from gateway.journal.leasing import LeaseLostError, Work

# The longest term that is believed of another gateway's lease, in seconds.
_TERM_MAX_S = 300.0

# How long a renewal may take, and before one that has failed is tried again, in seconds: several
# fit into the time for which the lease is held. One that comes late may be stored all the same.
_RENEWAL_S = 2.0
_AGAIN_S = 0.5

_VERSION = 1

_log = logging.getLogger(__name__)


class Term(NamedTuple):
    """How long a lease lasts, in seconds.

    A holder has it for `held` after each renewal. Others may take it when it has not been renewed
    for `untouched`: that much longer, so that two clocks of which one runs a tenth faster do no
    harm. Three servers elect a leader within four seconds, and a renewal may wait for that.

    Another gateway has it at the latest `untouched`, two looks and some requests after the last
    renewal: 15 s after the holder has died.
    """

    held: float = 10.0
    untouched: float = 12.0
    renew_every: float = 3.0
    look_every: float = 1.0


class _Claim(NamedTuple):
    """What the key says: who holds the lease, nobody if that is empty, and for how long."""

    holder: str
    untouched: float


def steady() -> float:
    """Return the time of a clock that nobody sets and that goes on while a machine sleeps.

    In seconds; where there is no such clock, one that stands still then.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Keys(Protocol):
    """Values by key; see `Bucket`."""

    async def read(self, key: str) -> Checkpoint:
        """Return a key's value and its revision. Raises LogUnavailableError."""

    async def replace(self, key: str, value: bytes, revision: int, timeout_s: float) -> int:
        """Give a key a value if it has a revision still; return the new one.

        Raises OutdatedError and LogUnavailableError.
        """


class JetStreamLease:
    """A `Lease` in a bucket. `gateway` is the name of this gateway, `purpose` that of the work."""

    def __init__(
        self,
        bucket: Keys,
        purpose: str,
        gateway: str,
        term: Term | None = None,
        now: Callable[[], float] = steady,
    ) -> None:
        self._bucket = bucket
        self._purpose = purpose
        self._key = f"lease.{purpose}"
        self._gateway = gateway
        self._term = term or Term()
        self._now = now
        self._revision = -1
        self._seen_at = 0.0
        self._claim = _Claim("", 0.0)
        self._held_until = float("-inf")
        self._told = ""

    @property
    def holder(self) -> str:
        """See `Lease.holder`."""
        return self._gateway if self.is_held else self._claim.holder

    @property
    def is_held(self) -> bool:
        """See `Lease.is_held`."""
        return self._now() < self._held_until

    def check(self) -> None:
        """See `Lease.check`."""
        if not self.is_held:
            raise LeaseLostError

    async def hold(self, work: Work) -> None:
        """See `Lease.hold`."""
        while True:
            await self._take()
            try:
                await self._while_held(work)
            except LeaseLostError:
                continue
            finally:
                await self._give_up()
            return

    async def _take(self) -> None:
        """Wait until this gateway holds it."""
        while True:
            # What cannot be asked now can be asked later.
            with contextlib.suppress(LogUnavailableError):
                await self._look()
                if self._is_free:
                    await self._claim_it(self._gateway)
                    return
            await asyncio.sleep(self._term.look_every)

    @property
    def _is_free(self) -> bool:
        if self._claim.holder in ("", self._gateway):
            return True
        return self._now() - self._seen_at >= self._claim.untouched

    async def _while_held(self, work: Work) -> None:
        """Do work until it ends. Raises LeaseLostError when it has been stopped."""
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            was_lost = renewing.done()
            working.cancel()
            # It is renewed until the work has ended, however long that takes.
            await asyncio.wait({working})
            renewing.cancel()
            await asyncio.wait({renewing})
            failure = None if working.cancelled() else working.exception()
        if failure is not None:
            raise failure
        if was_lost:
            self._held_until = float("-inf")
            self._tell(self._claim.holder if self._claim.holder != self._gateway else "")
            raise LeaseLostError

    async def _renew(self) -> None:
        """Renew it until it is lost."""
        pause = self._term.renew_every
        while True:
            await asyncio.sleep(max(min(pause, self._left), 0))
            pause = _AGAIN_S
            if not self.is_held:
                _log.warning("%s: the lease could not be renewed in time", self._purpose)
                return
            # Whatever a response takes: when the lease has ended the work ends.
            with contextlib.suppress(LogUnavailableError, TimeoutError):
                async with asyncio.timeout(self._left):
                    try:
                        await self._claim_it(self._gateway)
                        pause = self._term.renew_every
                    except OutdatedError:
                        # By this gateway's own renewal, if the response to that was lost.
                        await self._look()
                        if self._claim.holder != self._gateway:
                            return
                        pause = 0

    @property
    def _left(self) -> float:
        return self._held_until - self._now()

    async def _give_up(self) -> None:
        """Let others have it at once, if it is held still."""
        if not self.is_held:
            return
        self._held_until = float("-inf")
        with contextlib.suppress(LogUnavailableError):
            await self._claim_it("")

    async def _look(self) -> None:
        """See who holds it. Raises LogUnavailableError."""
        found = await self._bucket.read(self._key)
        if found.revision != self._revision:
            # From now on: it may have been stored long ago.
            self._revision, self._seen_at = found.revision, self._now()
            self._claim = _read(found.value, self._term)
            self._tell(self._claim.holder)

    async def _claim_it(self, holder: str) -> None:
        """Write who holds it over what was seen. Raises OutdatedError and LogUnavailableError."""
        sent_at = self._now()
        claim = _Claim(holder, self._term.untouched)
        self._revision = await self._bucket.replace(
            self._key, _written(claim), self._revision, _RENEWAL_S
        )
        self._claim, self._seen_at = claim, self._now()
        if holder:
            self._held_until = sent_at + self._term.held
        self._tell(holder)

    def _tell(self, holder: str) -> None:
        """Say in the log output who holds it, if that has changed."""
        if holder == self._told:
            return
        before, self._told = self._told, holder
        if holder == self._gateway:
            _log.info("%s: this gateway (%s) does it now", self._purpose, holder)
        elif holder:
            _log.info("%s: the gateway %s does it", self._purpose, holder)
        elif before == self._gateway:
            _log.info("%s: this gateway does it no more", self._purpose)
        else:
            _log.info("%s: no gateway does it now", self._purpose)


def _written(claim: _Claim) -> bytes:
    return json.dumps({"version": _VERSION, **claim._asdict()}).encode()


def _read(value: bytes | None, term: Term) -> _Claim:
    """Return what the key says. What cannot be read is held by somebody, for the usual time."""
    if value is None:
        return _Claim("", 0.0)
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    match found:
        case {"holder": str(holder), "untouched": int() | float() as untouched}:
            return _Claim(holder, min(max(untouched, term.held), _TERM_MAX_S))
    return _Claim("unknown", term.untouched)
