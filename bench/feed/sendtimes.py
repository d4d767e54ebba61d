"""When each webhook was sent: a file that poster and reader both have in their memory.

The clock is the system's monotonic one, which is the same in all processes.
"""

import mmap
from pathlib import Path

NUMBERS_MAX = 500_000
_BYTES = NUMBERS_MAX * 8


def create(path: Path) -> None:
    """Make the file."""
    with path.open("wb") as file:
        file.truncate(_BYTES)


def opened(path: Path) -> "memoryview[float]":
    """Return the times by number, as doubles that can be written."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), _BYTES)).cast("d")
