"""Retention: for how long events are kept, and how much room they may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept, in seconds, and how large the log may be, in bytes."""

    age_s: float
    size_bytes: int
