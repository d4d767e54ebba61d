"""What one measurement of the feed gives to the results."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Numbers under their names, and lines of Markdown."""

    numbers: dict[str, float]
    lines: Sequence[str]
