"""The hunt for a broken build: schedules, one after the other, until it is found."""

from dataclasses import dataclass

from tests.oracle.breaks import ALL
from tests.oracle.runs import run_seeds

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
    broken = ALL[name]
    guarantees: set[str] = set()
    with broken.applied():
        for run in range(SEEDS_MAX * _PASSES_MAX):
            seed = run % SEEDS_MAX
            for failure in run_seeds(range(seed, seed + 1)).failures:
                guarantees |= {violation.guarantee for violation in failure.found}
            if broken.guarantee in guarantees:
                return Caught(run + 1, frozenset(guarantees))
    return Caught(SEEDS_MAX * _PASSES_MAX, frozenset(guarantees))
