"""Every home of the event log keeps the contract of its ports."""

from collections.abc import Iterator

import pytest

from tests.contract.check import Check
from tests.contract.contract import CHECKS
from tests.contract.homes import HOMES, SERVERS, Home
from tests.harness.loop import LoopThread

PARAMETERS = [
    pytest.param(it, id=name, marks=[pytest.mark.slow] if it.slow else [])
    for name, it in CHECKS.items()
]


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    SERVERS.close()


@pytest.mark.parametrize("check", PARAMETERS)
@pytest.mark.parametrize("home", [pytest.param(it, id=it.name, marks=it.marks) for it in HOMES])
def test_a_home_keeps_the_contract(home: Home, check: Check, loop: LoopThread) -> None:
    check.run(home, loop)
