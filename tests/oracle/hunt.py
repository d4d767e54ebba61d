"""The hunt for a broken build: schedules, one after the other, until it is found."""

from dataclasses import dataclass

from tests.oracle.breaks import ALL
from tests.oracle.runs import run_seeds

# Schedules after which a break must have been found; most are found by the first few.
SEEDS_MAX = 300


@dataclass(frozen=True, slots=True)
class Caught:
    """After how many schedules a break was found, and all that was found by then."""

    schedules: int
    guarantees: frozenset[str]


def catch(name: str) -> Caught:
    broken = ALL[name]
    guarantees: set[str] = set()
    with broken.applied():
        for seed in range(SEEDS_MAX):
            for failure in run_seeds(range(seed, seed + 1)).failures:
                guarantees |= {violation.guarantee for violation in failure.found}
            if broken.guarantee in guarantees:
                return Caught(seed + 1, frozenset(guarantees))
    return Caught(SEEDS_MAX, frozenset(guarantees))
