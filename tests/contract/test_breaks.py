"""The contract bites: each of its checks notices the broken homes that it should.

What the checks say of the home that is not broken is shown by `test_contract.py`: nothing.
"""

import pytest

from gateway.journal.errors import LogError, OvertakenError
from tests.contract import (
    breaks_of_broadcast,
    breaks_of_journal,
    breaks_of_keeping,
    breaks_of_keys,
    breaks_of_lease,
    breaks_of_reading,
    breaks_of_searching,
)
from tests.contract.broken import Break
from tests.contract.check import Check
from tests.contract.contract import CHECKS
from tests.harness.loop import LoopThread

BREAKS = (
    *breaks_of_journal.BREAKS,
    *breaks_of_reading.BREAKS,
    *breaks_of_searching.BREAKS,
    *breaks_of_keys.BREAKS,
    *breaks_of_keeping.BREAKS,
    *breaks_of_broadcast.BREAKS,
    *breaks_of_lease.BREAKS,
)

# What a home that breaks a promise may do: something else than it should, or fail.
NOTICED = (AssertionError, LogError, OvertakenError, pytest.fail.Exception)

PARAMETERS = [
    pytest.param(
        broken, check, id=f"{broken.home.name}-{check.name}", marks=[pytest.mark.slow] * check.slow
    )
    for broken in BREAKS
    for check in broken.caught_by
]


@pytest.mark.parametrize(("broken", "check"), PARAMETERS)
def test_a_check_notices_a_broken_home(broken: Break, check: Check, loop: LoopThread) -> None:
    with pytest.raises(NOTICED):
        check.run(broken.home, loop, at_once=True)


def test_every_check_notices_some_broken_home() -> None:
    assert {check.name for broken in BREAKS for check in broken.caught_by} == set(CHECKS)


def test_broken_homes_have_names_of_their_own() -> None:
    assert len({it.home.name for it in BREAKS}) == len(BREAKS)
