"""The real gateway on a machine whose clock is stepped: `python -m tests.chaos.clocked_gateway`.

Processes of one machine share its clock. So the clock that this one reads is ahead of that by what
a file says, which may change at any time.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from gateway import app as composition
from gateway.cli import main
from gateway.clock import Clock

AHEAD = "CHAOS_CLOCK_AHEAD"


def _ahead_by(path: Path) -> float:
    """Return how far the clock is ahead, in seconds."""
    try:
        return float(path.read_text() or 0)
    except OSError:
        return 0.0


def _stepped(wall: Callable[[], float], steady: Callable[[], float]) -> Clock:
    path = Path(os.environ[AHEAD])
    return Clock(lambda: wall() + _ahead_by(path), steady)


if __name__ == "__main__":
    # Where it is made, not where it lives; `time` is what everything else reads the time from.
    real = time.time
    vars(composition)["Clock"] = lambda wall, steady: _stepped(real, steady)
    main()
