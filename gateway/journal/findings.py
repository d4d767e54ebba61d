"""What is wrong with a log, as found by those who look through all of it."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.journal.reading import Span

# Of faults of one part so many are kept in words; a damaged log may have millions.
WORDS_MAX = 20


class Finding(NamedTuple):
    """A fault: the part of the log that it is in, and what it is, in words for people."""

    part: str
    text: str


class Findings:
    """Collects faults: the first of each part in words, and how many there are."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: dict[str, int] = {}

    def add(self, part: str, text: str) -> None:
        """Add a fault."""
        self._counts[part] = self._counts.get(part, 0) + 1
        if self._counts[part] <= WORDS_MAX:
            self._kept.append(Finding(part, text))

    @property
    def kept(self) -> tuple[Finding, ...]:
        """Those that are kept in words, in the order in which they were found."""
        return tuple(self._kept)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self._counts.values())


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a log. `epoch` and `span` are None if they cannot be read."""

    epoch: bytes | None
    span: Span | None
    # Events that were looked at, and those of them that were stored without a checksum.
    events: int
    without_checksum: int
    findings: tuple[Finding, ...]
    faults: int
