"""Random faults around replicas: whatever breaks, the feed keeps its promises.

The long form is `python -m tests.chaos`; a seed that it reports is played again by that.
"""

import pytest

from tests.chaos import faults
from tests.chaos.author import Schedule, schedule
from tests.chaos.episode import play
from tests.harness.loop import LoopThread
from tests.harness.nats import with_nats

# Of both sizes, chosen so that most kinds of faults are among theirs.
SEEDS = (732, 4975)
STEPS = 4


def kinds(schedule: Schedule) -> set[str]:
    """The kinds of the faults in a schedule."""
    found: list[object] = [step.fault for step in schedule.steps]
    for fault in found:
        if isinstance(fault, faults.Together):
            found += fault.faults
    return {type(fault).__name__ for fault in found}


KINDS = {name for name, kind in vars(faults).items() if hasattr(kind, "on")} - {"Fault"}


@with_nats
@pytest.mark.parametrize("seed", SEEDS)
def test_every_guarantee_holds_while_things_break(loop: LoopThread, seed: int) -> None:
    made = schedule(seed, STEPS)

    outcome = play(loop, made)

    assert outcome.wrong == (), f"{made}\n{outcome}"
    assert outcome.given_up == 0, f"{made}\n{outcome}"
    assert outcome.stored == outcome.sent > 0


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7) == schedule(7)
    assert len({schedule(seed).steps for seed in range(100)}) == 100


def test_the_schedules_have_every_kind_of_fault_and_both_sizes() -> None:
    drawn = [schedule(seed) for seed in range(100)]

    assert set[str]().union(*map(kinds, drawn)) == KINDS
    assert {(it.servers, it.gateways) for it in drawn} == {(1, 2), (1, 3), (3, 2), (3, 3)}
