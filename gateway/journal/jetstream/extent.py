"""Extent: which numbers the stream holds, as far as is known here."""

from gateway.journal.reading import Span


class Extent:
    """Takes up whatever is heard of the stream. It never goes back, but to begin anew."""

    def __init__(self, span: Span) -> None:
        self.begin_anew(span)

    @property
    def span(self) -> Span:
        """The numbers that it holds now."""
        return Span(self._oldest, max(self._newest, self._oldest - 1))

    def begin_anew(self, span: Span) -> None:
        """Take note of what another stream holds."""
        self._oldest, self._newest = span.oldest, span.newest

    def saw(self, span: Span) -> None:
        """Take note of what it holds."""
        self._oldest = max(self._oldest, span.oldest)
        self.reaches(span.newest)

    def reaches(self, number: int) -> None:
        """Take note of a number that it has given."""
        self._newest = max(self._newest, number)
