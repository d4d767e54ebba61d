"""A limit on the memory of a process and its children, by whatever the kernel offers."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryLimit:
    """`group` is the control group's folder, None where none can be made.

    Without one there is only a limit on each process's data (setrlimit(2)), which comes close.
    """

    size: int
    group: Path | None

    def wrapped(self) -> list[str]:
        """What to put before a command."""
        if self.group is None:
            return ["prlimit", f"--data={self.size}"]
        procs = self.group / "cgroup.procs"
        return ["/bin/sh", "-c", f'echo $$ > {procs} && exec "$@"', "sh"]

    @property
    def most_used(self) -> int | None:
        """The most that was used at one time, in bytes, None if nobody counts."""
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if self.group is not None and (self.group / name).exists():
                return int((self.group / name).read_text())
        return None


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[MemoryLimit]:
    group = _group(size)
    try:
        yield MemoryLimit(size, group)
    finally:
        if group is not None:
            group.rmdir()


def _group(size: int) -> Path | None:
    """Make a control group below our own, of either version."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in own:
        if "memory" in controllers.split(","):
            parent, limit = _CGROUPS / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        elif not controllers:
            parent, limit = _CGROUPS / path.lstrip("/"), "memory.max"
        else:
            continue
        group = parent / f"telnyx-gateway-{os.getpid()}"
        try:
            group.mkdir()
            if not (group / limit).exists():
                group.rmdir()
                continue
            (group / limit).write_text(str(size))
        except OSError:
            continue
        return group
    return None
