"""Schedules: what happens, step by step. Values only, so that one can be printed and kept."""

from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

from gateway.journal.retention import Retention
from tests.oracle.history import Opening

# How old an event may get, in seconds: two steps of ten minutes are beyond it.
RETENTION_S = 1_000.0
RETENTION = Retention(RETENTION_S, 2**40)
CLOCK_START = 1_800_000_000.0

TYPES = ("call.enqueued", "call.dequeued", "conference.created", "conference.participant.joined")
PREFIXES = ("conference.*", "call.*", "conference.participant.*", "call.d*", "*")
CONFERENCES = ("c1", "c2", "c3")
QUEUES = ("q1", "q2")
CALLS = ("k1", "k2", "k3")
SESSIONS = ("s1", "s2")
CONNECTIONS = ("n1", "n2")


@dataclass(frozen=True, slots=True)
class Append:
    """Post events at once, by the number of their id; `waits` for the answers."""

    ids: tuple[int, ...]
    waits: bool = True


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A subscriber comes. An `ahead` or an `old` cursor replaces the opening's place."""

    opening: Opening
    ahead: int = 0
    old: int = -1


@dataclass(frozen=True, slots=True)
class Leave:
    """A subscriber goes; all are numbered modulo how many there are."""

    reader: int


@dataclass(frozen=True, slots=True)
class Resume:
    """A subscriber comes back: after its last cursor, or `back` cursors before."""

    reader: int
    opening: Opening
    back: int = 0


@dataclass(frozen=True, slots=True)
class Stall:
    """A subscriber does not read any more."""

    reader: int


@dataclass(frozen=True, slots=True)
class Unstall:
    """It reads again."""

    reader: int


@dataclass(frozen=True, slots=True)
class Prune:
    """Retention does its work; `waits` until it has."""

    waits: bool = True


@dataclass(frozen=True, slots=True)
class StepClock:
    """The wall clock jumps, as clocks do."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Time passes, of which only heartbeats and ages take notice."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait until nothing moves."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Drain, close, open again."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The process is gone in the middle of storing `ids`; what is on disk is opened again.

    With `cut` the power is gone as well: of the last, unacknowledged commit only this share is on
    disk. With `garbled` it is all there, but one byte of it is wrong.
    """

    ids: tuple[int, ...] = ()
    turns: int = 0
    cut: float | None = None
    garbled: bool = False


@dataclass(frozen=True, slots=True)
class DiskFull:
    """No page more can be had."""


@dataclass(frozen=True, slots=True)
class DiskFree:
    """There is room again."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Start with another log, as after the loss of the disk."""


Step: TypeAlias = (
    Append
    | Subscribe
    | Leave
    | Resume
    | Stall
    | Unstall
    | Prune
    | StepClock
    | Silence
    | Rest
    | Restart
    | Crash
    | DiskFull
    | DiskFree
    | Replace
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happens, in order, to a feed with a window of so many events.

    With `checkpoints` the write-ahead log is folded into the file all the time; with
    `tells_late` a commit can be read before the feed is told of it. At the end every schedule lets
    everybody read again, and get everything.
    """

    seed: int
    window: int
    age_max_s: float
    checkpoints: bool
    tells_late: bool
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [
            f"ORACLE_SEED={self.seed}: window {self.window}, streams live {self.age_max_s} s,"
            f" checkpoints {self.checkpoints}, tells late {self.tells_late}"
        ]
        return "\n".join([*lines, *(f"  {brief(step)}" for step in self.steps)])


def brief(value: object) -> str:
    """Return a value in words, without what is as usual."""
    if not is_dataclass(value):
        return repr(value)
    shown = [
        f"{field.name}={brief(getattr(value, field.name))}"
        for field in fields(value)
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(shown)})"
