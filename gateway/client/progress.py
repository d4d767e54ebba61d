"""How far a subscriber is behind, as one line of a terminal that is written over."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from conferencing.v1.event_service_pb2 import SubscribeResponse

# What is over sooner needs no line, in seconds; and how often the line is written anew.
_PATIENCE_S = 1.0
_REFRESH_S = 0.25

# Over what time the rate is measured, in seconds.
_WINDOW_S = 2.0


class Progress:
    """Shows the line with `show` while responses are not live, and clears it with an empty text."""

    def __init__(
        self,
        show: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._show = show
        self._clock = clock
        self._now = now
        self._is_shown = False
        self._shown_at = clock()
        self._behind_since: float | None = None
        self._events = 0
        self._counted: tuple[float, int] = (clock(), 0)
        self._rate = 0.0

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._is_shown:
            self._show("")
        self._is_shown = False

    def received(self, response: SubscribeResponse) -> None:
        """Take note of a response, once its events are printed."""
        now = self._clock()
        if response.live:
            self.clear()
            self._behind_since = None
            return
        if self._behind_since is None:
            self._behind_since, self._events, self._rate = now, 0, 0.0
            self._counted = (now, 0)
        self._events += len(response.events)
        since, before = self._counted
        if now - since >= _WINDOW_S:
            self._rate = (self._events - before) / (now - since)
            self._counted = (now, self._events)
        is_due = not self._is_shown or now - self._shown_at >= _REFRESH_S
        if now - self._behind_since >= _PATIENCE_S and is_due and response.events:
            self._show(self._line(response))
            self._is_shown, self._shown_at = True, now

    def _line(self, response: SubscribeResponse) -> str:
        received_at = response.events[-1].received_at.ToDatetime(UTC)
        lag_s = max(0.0, (self._now() - received_at).total_seconds())
        rate = f", {self._rate:,.0f}/s" if self._rate else ""
        return f"catching up: {self._events:,} events{rate}, {duration_text(lag_s)} behind"


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: `4 min 10 s`."""
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, unit)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"
