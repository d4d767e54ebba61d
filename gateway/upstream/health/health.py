"""The provider's health: whether it can be reached and accepts the key, from how requests end.

Every request is a sign, and the gateway sends probes when these are not enough. A request of a
caller can fail for reasons of its own (a deadline of milliseconds, one operation that is broken),
so it only raises a suspicion: only probes confirm an outage.

Two troubles are told apart, which may be there at one time: the key is rejected, and the provider
is not there or not itself.
"""

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.details import shortened
from gateway.upstream.secrets import scrubbed

# How long the provider may fail before the gateway says that it is not ready, in seconds. Long
# enough for a restart or a change of address to pass; all gateways notice an outage at the same
# time, and losing them all for a hiccup would cost more than some failed commands.
PATIENCE_S = 30.0

# How many probes in a row must fail in that time: one may be lost, or hit a restart, and so may the
# next. Every two seconds there is one, or every six where each takes its full time.
PROBES_MIN = 3

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
    # Who rejects the key is there, and says what this key gets: nothing else is known of it.
    Sign.REJECTED: {Sign.UNREACHABLE, Sign.FAILING, Sign.MISTAKEN},
}

_ENDED = "is available again"
_ENDED_OF_KEY = "accepts TELNYX_API_KEY again"


@dataclass(slots=True)
class _Trouble:
    """Failures in a row, from the first to the latest."""

    sign: Sign
    since: float
    latest: float
    failures: int = 0
    # How many probes are among them, and until when the provider wants no further one.
    probes: int = 0
    unasked_until: float = 0.0
    # Whether there was a line about it.
    told: bool = False

    def lasted_s(self, now: float) -> float:
        """Return for how long nothing has worked, as far as is known.

        What nobody has tried since the latest failure may work, but for what the provider itself
        has said of the time to come.
        """
        return max(self.latest, min(now, self.unasked_until)) - self.since


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
        self._key: _Trouble | None = None
        self._provider: _Trouble | None = None
        # When each kind of trouble was logged.
        self._logged_at: dict[Sign, float] = {}

    @property
    def key_problem(self) -> str | None:
        """That the provider rejects the key, None if it does not."""
        # It says so itself, and it holds for every request: once is enough.
        return None if self._key is None else _text(self._key)

    @property
    def provider_problem(self) -> str | None:
        """Why the provider cannot be reached, None if it can."""
        if self._provider is not None and self._is_serious(self._provider):
            return _text(self._provider)
        if not self._reached and self._key is None:
            return "the provider has not been reached yet"
        return None

    @property
    def not_ready(self) -> str | None:
        """Why commands cannot be accepted, None if they can."""
        return self.key_problem or self.provider_problem

    @property
    def silence_s(self) -> float:
        """How long ago there was a sign that shows the provider itself, or a probe, in seconds."""
        return self._now() - self._heard_at

    @property
    def trouble_s(self) -> float | None:
        """How long the present trouble has lasted, in seconds; None if there is none."""
        begins = [it.since for it in (self._key, self._provider) if it is not None]
        return self._now() - min(begins) if begins else None

    def note(
        self, sign: Sign, words: str = "", *, probe: bool = False, unasked_s: float = 0.0
    ) -> None:
        """Take note of how a request ended. `words` say more, for people.

        `unasked_s` is how long the provider wants to be left alone after a probe, in seconds.
        """
        # Anybody may respond in the provider's place: that alone keeps no probe from being due.
        if probe or sign is not Sign.RESPONDED:
            self._heard_at = self._now()
        self._end_troubles(sign)
        if sign is Sign.WELL:
            self._reached = True
        if sign is Sign.REJECTED:
            self._key = self._continued(self._key, sign)
            self._tell(self._key, words)
        elif sign not in _ENDS:
            self._provider = it = self._continued(self._provider, sign)
            if probe:
                it.probes += 1
                it.unasked_until = it.latest + unasked_s
            self._tell(it, words)

    def _continued(self, trouble: _Trouble | None, sign: Sign) -> _Trouble:
        now = self._now()
        trouble = trouble or _Trouble(sign, now, now)
        trouble.sign, trouble.latest = sign, now
        trouble.failures += 1
        return trouble

    def _end_troubles(self, sign: Sign) -> None:
        ends = _ENDS.get(sign, set())
        if self._provider is not None and self._provider.sign in ends:
            self._tell_end(self._provider, _ENDED)
            self._provider = None
        # While somebody else responds in the provider's place, a response says nothing of the key.
        if self._key is not None and Sign.REJECTED in ends and self._provider is None:
            self._tell_end(self._key, _ENDED_OF_KEY)
            self._key = None

    def _tell(self, trouble: _Trouble, words: str) -> None:
        worth_a_line = (
            trouble.probes
            or trouble.failures >= _FAILURES_IN_A_ROW
            or trouble.sign is Sign.REJECTED
        )
        now, sign = self._now(), trouble.sign
        logged_at = self._logged_at.get(sign)
        if not worth_a_line or (logged_at is not None and now - logged_at < REMINDER_S):
            return
        self._logged_at[sign] = now
        trouble.told = True
        _log.log(
            logging.ERROR if sign in (Sign.REJECTED, Sign.MISTAKEN) else logging.WARNING,
            "the provider (%s) %s (for %.0f s): %s; commands fail until that changes, the feed"
            " still works",
            self._where,
            sign.value,
            now - trouble.since,
            shortened(scrubbed(" ".join(words.split()))) or "it gave no reason",
        )

    def _tell_end(self, trouble: _Trouble, words: str) -> None:
        if trouble.told:
            lasted = self._now() - trouble.since
            _log.info("the provider (%s) %s after %.0f s", self._where, words, lasted)

    def _is_serious(self, trouble: _Trouble) -> bool:
        if not trouble.probes:
            return False
        if not self._reached:
            return True
        # One that says when to come back is not probed before: its word stands for failures.
        is_shown = trouble.probes >= PROBES_MIN or trouble.unasked_until > trouble.latest
        return is_shown and trouble.lasted_s(self._now()) >= PATIENCE_S


def _text(trouble: _Trouble) -> str:
    # Anybody may see this, so the provider's own words are only logged.
    return f"the provider {trouble.sign.value}"
