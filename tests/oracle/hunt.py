"""The hunt for a broken build: schedules, one after the other, until it is found."""

from dataclasses import dataclass

from tests.oracle.breaks import ALL, FOUND_BY, OVER_STREAM, Break
from tests.oracle.runs import runner

# Schedules of a hunt; most breaks are found by the first few.
SEEDS_MAX = 300

# How often they are gone through. Threads read the log, so a break that shows itself only when a
# read comes at the right moment ("passes by what is due") is missed by half of all passes. One
# takes 12 s.
_PASSES_MAX = 10


@dataclass(frozen=True, slots=True)
class Caught:
    """After how many schedules a break was found, and all that was found by then."""

    schedules: int
    guarantees: frozenset[str]


def catch(name: str) -> Caught:
    """Hunt over files."""
    return _hunted(ALL[name], "sqlite", SEEDS_MAX * _PASSES_MAX)


def catch_over_stream(name: str) -> Caught:
    """Hunt over streams, beginning with a schedule that is known to find it."""
    return _hunted(OVER_STREAM[name], "jetstream-1", SEEDS_MAX, FOUND_BY.get(name, 0))


def _hunted(broken: Break, home: str, runs: int, first: int = 0) -> Caught:
    guarantees: set[str] = set()
    with broken.applied(), runner(home) as run:
        for number in range(runs):
            seed = (first + number) % SEEDS_MAX
            for failure in run(range(seed, seed + 1)).failures:
                guarantees |= {violation.guarantee for violation in failure.found}
            if broken.guarantee in guarantees:
                return Caught(number + 1, frozenset(guarantees))
    return Caught(runs, frozenset(guarantees))
