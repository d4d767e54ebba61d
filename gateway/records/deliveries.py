"""Deliveries: new events, handed to those who follow the feed."""

from typing import NamedTuple


class RoundEnded(NamedTuple):
    """New events that were handed to everybody who was waiting for them.

    `events` is how many there were, `streams` how many they were for. `lag_s` is how long ago the
    first of them had been received, in seconds by the clock of the machine.
    """

    events: int
    streams: int
    lag_s: float
