"""The process's memory: how much it may be, and giving back what is not used any more."""

import asyncio
import ctypes
import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from gateway.bytebudget import BUFFERED_BYTES_MAX

# How much larger than at the start the process must be for it to look for memory to give back, in
# bytes. Below that there is little to have.
GROWN_BYTES = 32 * 1024 * 1024

# How often to look how large it is, and how often at the most to look for memory to give back, in
# seconds: a flood's memory is back within a minute of its end.
LOOK_S = 5.0
GIVE_BACK_S = 20.0

# What share of the time may go into walking over all objects, which holds up everything else. Each
# is taken to cost what it cost the last time. What is free is given back at every look.
PAUSE_SHARE = 0.002

# What share of a limit of memory all buffers may take together; the process itself takes 100 MiB,
# and more with each connection and stream.
_BUFFERS_SHARE = 0.25

# More than any machine has, in bytes: how Linux says that there is no limit.
_NO_LIMIT = 2**60

_CGROUPS = Path("/sys/fs/cgroup")


class MemoryUpkeep:
    """Gives memory back that a flood has left behind.

    The collector is tuned to look at what is old hardly ever, and the C library keeps what was
    freed between what was not. `resident` says how many bytes the process has, None if that cannot
    be known; `collect` frees what only leads to itself, and takes as long as there are `objects`;
    `trim` gives back what is free, in a thread of its own.
    """

    def __init__(
        self,
        resident: Callable[[], int | None],
        collect: Callable[[], object],
        trim: Callable[[], object],
        objects: Callable[[], int],
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._resident = resident
        self._collect = collect
        self._trim = trim
        self._objects = objects
        self._now = now
        self._least = resident()
        self._next_at = now()
        # When it was collected, and how long that took for each object, in seconds.
        self._collected_at = -math.inf
        self._object_s = 0.0

    @classmethod
    def of_this_process(cls) -> "MemoryUpkeep":
        """Return one that begins with what the process has now."""
        return cls(resident_bytes, gc.collect, trim_heap, sys.getallocatedblocks)

    async def run(self) -> None:
        """Look from time to time, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Give memory back if the process has grown and it is time."""
        resident = self._resident()
        if resident is None or self._least is None:
            return
        self._least = min(self._least, resident)
        began = self._now()
        if resident < self._least + GROWN_BYTES or began < self._next_at:
            return
        self._next_at = began + GIVE_BACK_S
        objects = max(self._objects(), 1)
        if began >= self._collected_at + objects * self._object_s / PAUSE_SHARE:
            self._collect()
            self._collected_at = began
            self._object_s = (self._now() - began) / objects
        await asyncio.to_thread(self._trim)


def buffers_within(limit: int | None) -> int:
    """Return how many bytes all buffers may hold where memory has a limit, or none."""
    return (
        BUFFERED_BYTES_MAX
        if limit is None
        else min(BUFFERED_BYTES_MAX, int(limit * _BUFFERS_SHARE))
    )


def resident_bytes() -> int | None:
    """Return how much memory the process has, None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def trim_heap() -> None:
    """Have the C library give back what is free, where it knows how (glibc)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_limit(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the limit that a container or a service has on its memory, in bytes, None if none.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max) and cgroup-v1/memory.
    """
    limits = []
    for file in _limit_files(cgroups, own):
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(file.read_text()))
    least = min(limits, default=_NO_LIMIT)
    return least if least < _NO_LIMIT else None


def _limit_files(cgroups: Path, own: Path) -> Iterator[Path]:
    """Yield the files that may hold a limit: of the own group and of all above it.

    A container may see its own group as the root, by a path that only its host knows.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        own_group = root / group.lstrip("/")
        for folder in (own_group, *own_group.parents):
            if folder.is_relative_to(root):
                yield folder / name
