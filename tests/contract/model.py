"""The model: which events a log must hold, and which of them a reader must find."""

from collections.abc import Iterable

from gateway.journal.events import Appended, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.reading import Span, Stretch, TimeBounds


class Model:
    """The events that a log must hold, by their numbers."""

    def __init__(self, begins_at: int = 1) -> None:
        self.events: dict[int, NewEvent] = {}
        self.span = Span(begins_at, begins_at - 1)

    @property
    def stretch(self) -> Stretch:
        """The whole log."""
        return Stretch(self.span.oldest - 1, self.span.newest)

    def take(self, appended: Iterable[tuple[NewEvent, Appended]]) -> None:
        """Take in what was appended at the same time; which got which number is the log's own."""
        for event, result in sorted(appended, key=lambda it: it[1]):
            if not result.duplicate:
                self.events[result.sequence] = event
                self.span = Span(self.span.oldest, max(result.sequence, self.span.newest))

    def delete_before(self, oldest: int) -> None:
        """Forget events with lower numbers."""
        self.events = {it: event for it, event in self.events.items() if it >= oldest}
        self.span = Span(oldest, self.span.newest)

    def numbers(
        self,
        wanted: Filter = EVERYTHING,
        visible: Filter = EVERYTHING,
        bounds: TimeBounds | None = None,
    ) -> list[int]:
        """Return the numbers of all events that match, are visible and were received in a time."""
        bounds = bounds or TimeBounds()
        return [
            number
            for number, event in sorted(self.events.items())
            if wanted.matches(event.keys)
            and visible.matches(event.keys)
            and bounds.since_us <= event.received_at_us < bounds.until_us
        ]

    def since(self, moment_us: int) -> int:
        """Return the first number received at a moment or later, else that of the next event."""
        return min(self.numbers(bounds=TimeBounds(moment_us)), default=self.span.newest + 1)

    def expired_through(self, age_s: float, now: float) -> int:
        """Return up to which number all are too old: up to the last one that is, and before the
        first one whose age is known and allowed."""
        now_us = round(now * 1e6)
        before_us = now_us - round(age_s * 1e6)
        allowed = [n for n, it in self.events.items() if before_us <= it.received_at_us <= now_us]
        first_allowed = min(allowed, default=self.span.newest + 1)
        old = [n for n, it in self.events.items() if it.received_at_us < before_us]
        return max((it for it in old if it < first_allowed), default=self.span.oldest - 1)
