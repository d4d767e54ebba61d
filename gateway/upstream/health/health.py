"""The provider's health: whether it can be reached and accepts the key, from how requests end.

Every request is a sign, and the gateway sends probes when these are not enough. A request of a
caller can fail for reasons of its own (a deadline of milliseconds, one operation that is broken),
so it only raises a suspicion: only probes confirm an outage.
"""

import enum
import logging
from collections.abc import Callable
from typing import NamedTuple

from gateway.details import shortened
from gateway.upstream.secrets import scrubbed

# How long the provider may fail before the gateway says that it is not ready, in seconds. Long
# enough for a restart or a change of address to pass; all gateways notice an outage at the same
# time, and losing them all for a hiccup would cost more than some failed commands.
PATIENCE_S = 30.0

# A failing provider is logged once, and again after so many seconds while it lasts.
REMINDER_S = 60.0

# Failures in a row, without a probe among them, that are worth a line: one call with its retries.
_FAILURES_IN_A_ROW = 3

_log = logging.getLogger(__name__)


class Sign(enum.Enum):
    """What the end of a request says about the provider."""

    WELL = "accepts requests"
    # There was a response, which may be anybody's.
    RESPONDED = "responds"
    # It limits the rate: it is there, but has not checked the key.
    BUSY = "is busy"
    REJECTED = "rejects TELNYX_API_KEY"
    UNREACHABLE = "cannot be reached"
    FAILING = "responds only with failures"
    MISTAKEN = "is not at TELNYX_BASE_URL"


# Good signs, and the troubles that each of them ends.
_ENDS = {
    Sign.WELL: {Sign.REJECTED, Sign.UNREACHABLE, Sign.FAILING, Sign.MISTAKEN},
    Sign.RESPONDED: {Sign.REJECTED, Sign.UNREACHABLE, Sign.FAILING},
    Sign.BUSY: {Sign.UNREACHABLE, Sign.FAILING},
}


class _Trouble(NamedTuple):
    """Failures in a row, from the first to the latest."""

    sign: Sign
    words: str
    since: float
    latest: float
    failures: int
    # Whether a probe is among them.
    confirmed: bool


class ProviderHealth:
    """Keeps account of the provider's health, and logs when it changes.

    `where` is the provider's address, for people. With `must_be_reached` the gateway is not ready
    before the provider has been reached for the first time: a rollout with a wrong address or key
    then stops at its first gateway. `now` is a monotonic clock in seconds.
    """

    def __init__(self, where: str, now: Callable[[], float], *, must_be_reached: bool) -> None:
        self._where = where
        self._now = now
        self._reached = not must_be_reached
        self._heard_at = now()
        self._trouble: _Trouble | None = None
        # When each kind of trouble was logged, and whether the present one was.
        self._logged_at: dict[Sign, float] = {}
        self._logged = False

    @property
    def not_ready(self) -> str | None:
        """Why commands cannot be accepted, None if they can."""
        trouble = self._trouble
        if trouble is not None and self._is_serious(trouble):
            # Anybody may see this, so the provider's own words are only logged.
            return f"the provider {trouble.sign.value}"
        if not self._reached:
            return "the provider has not been reached yet"
        return None

    @property
    def silence_s(self) -> float:
        """How long ago the latest sign came, in seconds."""
        return self._now() - self._heard_at

    @property
    def trouble_s(self) -> float | None:
        """How long the present trouble has lasted, in seconds; None if there is none."""
        return None if self._trouble is None else self._now() - self._trouble.since

    def note(self, sign: Sign, words: str = "", *, probe: bool = False) -> None:
        """Take note of how a request ended. `words` say more, for people."""
        self._heard_at = self._now()
        if sign in _ENDS:
            self._note_response(sign)
        else:
            self._note_trouble(sign, shortened(scrubbed(" ".join(words.split()))), probe)

    def _note_response(self, sign: Sign) -> None:
        trouble = self._trouble
        if trouble is None or trouble.sign in _ENDS[sign]:
            self._trouble = None
            self._reached = self._reached or sign is Sign.WELL
        if trouble is not None and self._trouble is None and self._logged:
            self._logged = False
            lasted = self._now() - trouble.since
            _log.info("the provider (%s) is available again after %.0f s", self._where, lasted)

    def _note_trouble(self, sign: Sign, words: str, probe: bool) -> None:
        now, before = self._now(), self._trouble
        if before is not None and before.sign is Sign.REJECTED and sign is not Sign.REJECTED:
            return  # an unreachable provider has not accepted the key again
        self._trouble = trouble = _Trouble(
            sign,
            words,
            before.since if before else now,
            now,
            before.failures + 1 if before else 1,
            probe or (before is not None and before.confirmed),
        )
        worth_a_line = (
            trouble.confirmed or trouble.failures >= _FAILURES_IN_A_ROW or sign is Sign.REJECTED
        )
        logged_at = self._logged_at.get(sign)
        if worth_a_line and (logged_at is None or now - logged_at >= REMINDER_S):
            self._logged_at[sign] = now
            self._logged = True
            _log.log(
                logging.ERROR if sign in (Sign.REJECTED, Sign.MISTAKEN) else logging.WARNING,
                "the provider (%s) %s (for %.0f s): %s; commands fail until that changes, the feed"
                " still works",
                self._where,
                sign.value,
                now - trouble.since,
                words or "it gave no reason",
            )

    def _is_serious(self, trouble: _Trouble) -> bool:
        if trouble.sign is Sign.REJECTED:
            return True  # the provider says so itself, and it holds for every request
        if not trouble.confirmed:
            return False
        return not self._reached or trouble.latest - trouble.since >= PATIENCE_S
