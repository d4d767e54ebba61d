"""Patience: how long a log in a stream waits before it takes something for so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds."""

    # How long opening waits for the index to be up with the stream. What takes longer goes on while
    # the gateway starts.
    catch_up_s: float = 5.0
    # For how long a stream must be gone, or lack events, at each look before it is believed:
    # servers that have just found a leader may be behind for a moment.
    sure_after_s: float = 3.0
    # How often the stream is asked what it holds: its limits delete without a word.
    look_every_s: float = 5.0


USUAL = Patience()
