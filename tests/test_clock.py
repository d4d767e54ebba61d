"""What is made of several clocks, of which any may be wrong."""

import pytest

from gateway.clock import UNCONFIRMED_S, Clock, ClockState
from tests.harness.clock import MachineClock

TRUE = 1_800_000_000.0
DAY_S = 86_400.0


@pytest.fixture
def machine() -> MachineClock:
    return MachineClock(TRUE)


def clock_of(machine: MachineClock) -> Clock:
    return Clock(machine, machine.steady)


def test_at_first_the_machine_is_all_there_is(machine: MachineClock) -> None:
    assert clock_of(machine).now() == (TRUE, TRUE, ClockState.UNCONFIRMED, None)


@pytest.mark.parametrize("off", [-3_650 * DAY_S, -DAY_S, -301, 301, DAY_S, 3_650 * DAY_S])
def test_the_provider_is_believed_against_the_machine(machine: MachineClock, off: float) -> None:
    machine.now = TRUE + off
    clock = clock_of(machine)

    clock.provider_told(TRUE)
    machine.advance(50)

    assert clock.now() == (TRUE + 50, TRUE + 50, ClockState.SUSPECT, off)
    machine.put_right()
    assert clock.now() == (TRUE + 50, TRUE + 50, ClockState.CONFIRMED, 0)


def test_clocks_that_differ_as_clocks_do_are_both_right(machine: MachineClock) -> None:
    machine.now = TRUE + 299
    clock = clock_of(machine)

    clock.provider_told(TRUE)

    assert clock.now() == (TRUE + 299, TRUE + 299, ClockState.CONFIRMED, 299)


@pytest.mark.parametrize("off", [-DAY_S, DAY_S])
def test_a_clock_that_was_set_leaves_two_times_until_somebody_confirms_one(
    machine: MachineClock, off: float
) -> None:
    clock = clock_of(machine)

    machine.now += off
    machine.advance(10)

    low, high = sorted((TRUE + 10, TRUE + 10 + off))
    assert clock.now() == (low, high, ClockState.SUSPECT, None)
    clock.webhook_verified()
    assert clock.now().state is ClockState.CONFIRMED
    assert clock.now().earliest == clock.now().latest == machine.now


def test_a_clock_that_is_slewed_is_not_suspect(machine: MachineClock) -> None:
    clock = clock_of(machine)

    for _ in range(1_000):
        machine.advance(30)
        machine.now += 0.9
        assert clock.now().state is ClockState.UNCONFIRMED


def test_nothing_is_old_enough_to_be_deleted_before_the_time_is_confirmed(
    machine: MachineClock,
) -> None:
    machine.now = TRUE + 365 * DAY_S
    clock = clock_of(machine)

    assert clock.for_deleting() == 0
    clock.provider_told(TRUE)
    assert clock.for_deleting() == TRUE


def test_one_wrong_clock_of_two_makes_nothing_old(machine: MachineClock) -> None:
    clock = clock_of(machine)

    clock.provider_told(TRUE + 365 * DAY_S)

    assert clock.now().earliest == TRUE + 365 * DAY_S
    assert clock.for_deleting() == TRUE


def test_a_provider_that_is_away_does_not_keep_events_for_ever(machine: MachineClock) -> None:
    clock = clock_of(machine)

    machine.advance(UNCONFIRMED_S)

    assert clock.for_deleting() == machine.true
    machine.now += DAY_S
    assert clock.for_deleting() == 0
