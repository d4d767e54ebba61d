"""Rounds: contestants take turns, so that whatever else the machine does hits all of them alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.calls import UnaryCall
from bench.contestants.contestant import Contestant
from bench.load import Load
from bench.stolen import Undisturbed
from bench.upstream_counts import UpstreamCounts

# The first load of each contestant, in calls: long enough for connections to be open, caches warm
# and the speed to be known, and short at the lowest speed seen (150 calls/s).
_WARM_UP_CALLS = 320

# Bounds of a turn in calls: enough for the last calls, which go out fewer at a time, not to
# matter, and a bound should a warm-up mislead.
_TURN_CALLS_MIN = 320
_TURN_CALLS_MAX = 60_000


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ends of what several rounds gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up values, at least one."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Rounds:
    """The loads of each contestant, by name, in the order of the rounds."""

    loads: Mapping[str, Sequence[Load]]

    def rate(self, name: str) -> Spread:
        """Return the calls per second of a contestant."""
        return Spread.of([load.rate for load in self.loads[name]])

    def cpu_us(self, name: str) -> float | None:
        """Return the processor time a call takes of a contestant, in microseconds."""
        values = [load.cpu_s / load.calls for load in self.loads[name] if load.cpu_s is not None]
        return median(values) * 1e6 if values else None

    def cores_used(self, name: str) -> float | None:
        """Return how many cores a contestant kept busy."""
        values = [load.cpu_s / load.seconds for load in self.loads[name] if load.cpu_s is not None]
        return median(values) if values else None

    def ratio(self, name: str, of: str) -> Spread:
        """Return the rate of one contestant as a multiple of another's.

        Each round gives a ratio of its own, of turns that were taken within seconds of each other;
        what slows the machine down for a while leaves them as they are.
        """
        pairs = zip(self.loads[name], self.loads[of], strict=True)
        return Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])


def run_rounds(
    contestants: Sequence[Contestant],
    call: UnaryCall,
    upstream: UpstreamCounts,
    rounds: int,
    turn_s: float,
    undisturbed: Undisturbed,
) -> Rounds:
    """Let contestants take turns of about `turn_s` seconds. Raises LoadError."""
    turns = {
        it.described.name: _calls_in(turn_s, _proven(it, call, _WARM_UP_CALLS, upstream))
        for it in contestants
    }
    loads: dict[str, list[Load]] = {it.described.name: [] for it in contestants}
    for number in range(rounds):
        # To and fro: what changes steadily over the run favours nobody.
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            name = contestant.described.name
            turn = partial(_proven, contestant, call, turns[name], upstream)
            loads[name].append(undisturbed.take(turn))
    return Rounds(loads)


def _calls_in(turn_s: float, warm_up: Load) -> int:
    return min(max(round(warm_up.rate * turn_s), _TURN_CALLS_MIN), _TURN_CALLS_MAX)


def _proven(contestant: Contestant, call: UnaryCall, calls: int, upstream: UpstreamCounts) -> Load:
    with upstream.expect(call, calls if contestant.described.asks_upstream else 0):
        return contestant.load(call, calls)
