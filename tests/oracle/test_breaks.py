"""The suite bites: it finds every broken build of `breaks.py`, and by the guarantee it breaks.

What it finds without a break is shown by `test_schedules.py`: nothing, over the same seeds.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from tests.harness.nats import with_nats
from tests.oracle.breaks import ALL, OVER_STREAM
from tests.oracle.hunt import Caught, catch, catch_over_stream
from tests.oracle.verdict import GUARANTEES


@pytest.fixture(scope="module")
def hunts() -> Iterator[Mapping[str, Future[Caught]]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield {name: pool.submit(catch, name) for name in ALL}


@pytest.fixture(scope="module")
def hunts_over_stream() -> Iterator[Mapping[str, Future[Caught]]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield {name: pool.submit(catch_over_stream, name) for name in OVER_STREAM}


@pytest.mark.parametrize("name", ALL)
def test_a_broken_build_is_found(name: str, hunts: Mapping[str, Future[Caught]]) -> None:
    caught = hunts[name].result()

    assert ALL[name].guarantee in caught.guarantees, caught


@with_nats
@pytest.mark.parametrize("name", OVER_STREAM)
def test_a_broken_build_is_found_over_a_stream(
    name: str, hunts_over_stream: Mapping[str, Future[Caught]]
) -> None:
    caught = hunts_over_stream[name].result()

    assert OVER_STREAM[name].guarantee in caught.guarantees, caught


def test_every_guarantee_has_a_break() -> None:
    assert {it.guarantee for it in ALL.values()} == set(GUARANTEES)
