"""Every home of the event log keeps the contract of its ports."""

import pytest

from tests.contract.check import Check
from tests.contract.contract import CHECKS
from tests.contract.homes import HOMES, Home
from tests.harness.loop import LoopThread

PARAMETERS = [
    pytest.param(it, id=name, marks=[pytest.mark.slow] if it.slow else [])
    for name, it in CHECKS.items()
]


@pytest.mark.parametrize("check", PARAMETERS)
@pytest.mark.parametrize("home", HOMES, ids=lambda it: it.name)
def test_a_home_keeps_the_contract(home: Home, check: Check, loop: LoopThread) -> None:
    check.run(home, loop)
