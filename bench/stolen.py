"""Time that a virtual machine's host gave to others: what was measured meanwhile is taken again.

A host that runs other machines on the same cores takes them away without a word, for milliseconds
or for half of a minute. Delays measured then are the host's, not those of what is measured. The
kernel counts that time (proc(5), `steal` in /proc/stat).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# The share of all cores' time from which on a turn is taken again. One hundredth is enough to
# decide over the slowest hundredth.
STOLEN_MAX = 0.01

# Turns taken again at the most, in one measurement: on a host that is always busy the rest count
# as they are, and the report says so.
AGAIN_MAX = 12

R = TypeVar("R")


def stolen_s() -> float:
    """Return for how long cores were taken away since the machine started, all added up."""
    try:
        with Path("/proc/stat").open() as file:
            # cpu user nice system idle iowait irq softirq steal
            fields = file.readline().split()
    except OSError:
        return 0.0
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0


class Undisturbed:
    """Takes turns, and takes them again where the host took too much of them."""

    def __init__(
        self,
        stolen: Callable[[], float] = stolen_s,
        now: Callable[[], float] = time.monotonic,
        cores: int = os.cpu_count() or 1,
    ) -> None:
        self._stolen = stolen
        self._now = now
        self._cores = cores
        self.taken = 0
        self.again = 0
        # Those that count although the host took too much of them.
        self.disturbed = 0

    def take(self, turn: Callable[[], R]) -> R:
        """Return what the first turn brought of which the host took little."""
        self.taken += 1
        while True:
            stolen, began = self._stolen(), self._now()
            result = turn()
            spent = (self._now() - began) * self._cores
            if self._stolen() - stolen <= STOLEN_MAX * spent:
                return result
            if self.again == AGAIN_MAX:
                self.disturbed += 1
                return result
            self.again += 1


def remark(turns: Undisturbed) -> str:
    """Say in a sentence or two what was taken again; nothing if nothing was taken in turns."""
    if not turns.taken:
        return ""
    if not turns.again:
        return "None of the turns was seen to be taken away by the machine's host."
    text = f"The machine's host took more than {STOLEN_MAX:.0%} of {_turns(turns.again)} "
    text += "which were taken again"
    if turns.disturbed:
        return f"{text}, and of {_turns(turns.disturbed)} that had to count all the same."
    return f"{text}."


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"
