"""The suite bites: it finds every broken build of `breaks.py`, and by the guarantee it breaks.

What it finds without a break is shown by `test_schedules.py`: nothing, over the same seeds.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import pytest

from tests.oracle.breaks import ALL
from tests.oracle.runs import run_seeds
from tests.oracle.verdict import GUARANTEES

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


@pytest.fixture(scope="module")
def hunts() -> Iterator[Mapping[str, Future[Caught]]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield {name: pool.submit(catch, name) for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_a_broken_build_is_found(name: str, hunts: Mapping[str, Future[Caught]]) -> None:
    caught = hunts[name].result()

    assert ALL[name].guarantee in caught.guarantees, caught


def test_every_guarantee_has_a_break() -> None:
    assert {it.guarantee for it in ALL.values()} == set(GUARANTEES)
