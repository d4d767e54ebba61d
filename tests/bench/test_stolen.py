"""Turns of the bench that the machine's host disturbed are taken again, and that is reported."""

from dataclasses import dataclass, field

from bench.stolen import AGAIN_MAX, STOLEN_MAX, Undisturbed, remark

CORES = 2
TURN_S = 10.0


@dataclass
class Machine:
    """A machine of which the host takes a share of each turn, in their order."""

    shares: list[float]
    now: float = 0.0
    stolen: float = 0.0
    taken: list[int] = field(default_factory=list)

    def turn(self) -> int:
        number = len(self.taken)
        share = self.shares[min(number, len(self.shares) - 1)]
        self.now += TURN_S
        self.stolen += share * TURN_S * CORES
        self.taken.append(number)
        return number

    def turns(self) -> Undisturbed:
        return Undisturbed(lambda: self.stolen, lambda: self.now, CORES)


def test_a_turn_that_was_left_alone_counts() -> None:
    machine = Machine([STOLEN_MAX * 0.9])
    turns = machine.turns()
    assert turns.take(machine.turn) == 0
    assert (machine.taken, turns.again, turns.disturbed) == ([0], 0, 0)
    assert remark(turns) == "None of the turns was seen to be taken away by the machine's host."


def test_a_disturbed_turn_is_taken_again() -> None:
    machine = Machine([0.3, STOLEN_MAX * 1.1, 0.0])
    turns = machine.turns()
    assert turns.take(machine.turn) == 2
    assert (turns.again, turns.disturbed) == (2, 0)
    assert remark(turns).endswith("of 2 turns which were taken again.")


def test_on_a_host_that_is_always_busy_turns_count_in_the_end_and_it_is_said() -> None:
    machine = Machine([0.3])
    turns = machine.turns()
    assert [turns.take(machine.turn), turns.take(machine.turn)] == [AGAIN_MAX, AGAIN_MAX + 1]
    assert (turns.again, turns.disturbed) == (AGAIN_MAX, 2)
    assert remark(turns).endswith("and of 2 turns that had to count all the same.")


def test_what_was_stolen_before_does_not_count() -> None:
    machine = Machine([0.0])
    machine.stolen = 1_000.0
    assert machine.turns().take(machine.turn) == 0


def test_where_nothing_is_taken_in_turns_nothing_is_said_of_them() -> None:
    assert remark(Machine([0.3]).turns()) == ""
