"""What is asked of a gateway under attack, as ratios and bounds.

How late an honest call may be is judged by how late such calls were right before the attack, and by
how late the machine is meanwhile: a neighbour that does next to nothing is asked as often. So is
the provider itself, for commands.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.hostile.canary import COMMAND, KINDS, NEIGHBOUR, PROVIDER, WORK, Call

MIB = 2**20

# By how much honest calls may be slower than when idle; the second under floods at full speed.
FACTOR = 5.0
FACTOR_OF_FLOODS = 10.0

# How often an attack is made if it seems to succeed: what a shared machine did meanwhile does not
# come again, a bound that is broken does.
TRIES = 3

# What counts as idle at least, in seconds. Calls that wait for nothing take 2 to 6 ms, on a machine
# that does nothing else; beside other programs on two cores the slowest of a hundred took 30 to
# 80 ms, and a few seconds of idling do not show that. Below it, noise would decide.
IDLE_FLOOR_S = 0.05

# What the piece of work takes on the machine on which that was set, in seconds of a processor. One
# that is slower at the time, because it is another or because its host has other guests, needs as
# much longer for all it does: a bare gRPC server took 2,800 to 4,200 calls a second, in one minute.
WORK_S = 0.00125

# How much more memory than idle the process may have at any time, and a minute later, in bytes.
GROWN_MAX = 256 * MIB
LEFT_MAX = 64 * MIB
RECOVERY_S = 60.0

# Descriptors more than when idle that are none of an attack's: connections to the provider, as
# many as requests may be in flight are kept for the next ones, and honest calls are going on.
DESCRIPTORS_MORE = 120

# Lines of one kind: one in a second, and those of the second that was under way.
LINES_MORE = 3

# What no log may say of an attack.
_ALARM = re.compile(r" (ERROR|CRITICAL) |Traceback")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that the log must have, by two patterns: what it says, and of whom."""

    kind: str
    peer: str

    def is_in(self, line: str) -> bool:
        return bool(re.search(self.kind, line) and re.search(self.peer, line))


@dataclass(frozen=True, slots=True)
class NoLine:
    """That the log need not say anything, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a gateway during an attack of `seconds`, and before it."""

    idle: Sequence[Call]
    calls: Sequence[Call]
    seconds: float
    idle_bytes: int
    most_bytes: int
    lines: Sequence[str]


def p99(calls: Iterable[Call], kind: str) -> float:
    """Return how long the slowest hundredth of a kind took, in seconds: of few, the slowest."""
    found = sorted(it.seconds for it in calls if it.kind == kind)
    return found[-1 - len(found) // 100] if found else 0.0


def slowness(seen: Seen) -> dict[str, float]:
    """Return by how much each kind of call was slower than idle."""
    floor_s = IDLE_FLOOR_S * slow_machine(seen.calls)
    return {
        kind: p99(seen.calls, kind) / max(p99(seen.idle, kind), _others(seen, kind), floor_s)
        for kind in KINDS
    }


def slow_machine(calls: Iterable[Call]) -> float:
    """Return how many times as long as where the bars were set a processor needed; 1 at least."""
    took = [it.seconds for it in calls if it.kind == WORK]
    return max(1.0, median(took) / WORK_S) if took else 1.0


def _others(seen: Seen, kind: str) -> float:
    """Return how late others than the gateway were that a kind of call depends on."""
    provider = p99(seen.calls, PROVIDER) if kind == COMMAND else 0.0
    return max(p99(seen.calls, NEIGHBOUR), provider)


def lateness(seen: Seen, *, flood: bool, late: frozenset[str] = frozenset()) -> list[str]:
    """Return which honest calls came too late, in words. The kinds in `late` may."""
    factor = FACTOR_OF_FLOODS if flood else FACTOR
    return [
        f"{kind}: p99 {p99(seen.calls, kind):.3f} s is {times:.1f} times idle, at most"
        f" {factor:.0f} (idle {p99(seen.idle, kind):.3f} s, others {_others(seen, kind):.3f} s,"
        f" a processor needs {slow_machine(seen.calls):.1f} times as long)"
        for kind, times in slowness(seen).items()
        if times > factor and kind not in late
    ]


def faults(seen: Seen, *, line: Line | NoLine) -> list[str]:
    """Return what else is wrong, in words."""
    found: list[str] = []
    for kind in KINDS:
        made = [it for it in seen.calls if it.kind == kind]
        failures = [it.failure for it in made if it.failure]
        if not made:
            found.append(f"no {kind} was made at all")
        if failures:
            found.append(f"{len(failures)} of {len(made)} {kind} failed: {failures[0]}")
    grown = seen.most_bytes - seen.idle_bytes
    if grown > GROWN_MAX:
        found.append(f"memory grew by {grown // MIB} MiB, at most {GROWN_MAX // MIB}")
    return found + line_faults(seen, line)


def alarms(lines: Sequence[str]) -> list[str]:
    """Return what the log says that it must never say, in words."""
    found = [number for number, it in enumerate(lines) if _ALARM.search(it)]
    if not found:
        return []
    # With the traceback that stands below it.
    told = "".join(lines[found[0] : found[0] + 80])
    return [f"{len(found)} lines of the log are alarms: {told}"]


def line_faults(seen: Seen, line: Line | NoLine) -> list[str]:
    """Return what is wrong with the log."""
    found = alarms(seen.lines)
    if isinstance(line, Line):
        count = sum(line.is_in(it) for it in seen.lines)
        if not count:
            some = "".join(seen.lines[:5])
            found.append(f"no line says {line.kind!r} of {line.peer!r}, but:\n{some}")
        elif count > seen.seconds + LINES_MORE:
            found.append(f"{count} lines say {line.kind!r} within {seen.seconds:.0f} s")
    return found
