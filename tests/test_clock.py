"""What is made of several clocks, of which any may be wrong."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.clock import CLOCKS_APART_S, UNCONFIRMED_S, Clock, ClockState
from tests.harness.clock import MachineClock

TRUE = 1_800_000_000.0
DAY_S = 86_400.0


@pytest.fixture
def machine() -> MachineClock:
    return MachineClock(TRUE)


def clock_of(machine: MachineClock) -> Clock:
    return Clock(machine, machine.steady)


def test_at_first_the_machine_is_all_there_is(machine: MachineClock) -> None:
    assert clock_of(machine).now() == (TRUE, TRUE, ClockState.UNCONFIRMED, None, TRUE)


@pytest.mark.parametrize("off", [-300 * DAY_S, -DAY_S, -301, 301, DAY_S, 3_650 * DAY_S])
def test_a_provider_and_a_machine_that_disagree_leave_two_times(
    machine: MachineClock, off: float
) -> None:
    machine.now = TRUE + off
    clock = clock_of(machine)

    clock.provider_time(TRUE)
    machine.advance(50)

    low, high = sorted((TRUE + 50, TRUE + 50 + off))
    assert clock.now() == (low, high, ClockState.SUSPECT, off, TRUE + 50)
    machine.put_right()
    assert clock.now() == (TRUE + 50, TRUE + 50, ClockState.CONFIRMED, 0, TRUE + 50)


def test_a_machine_that_was_never_set_is_no_witness(machine: MachineClock) -> None:
    machine.now = 100.0
    clock = clock_of(machine)

    clock.provider_time(TRUE)

    assert clock.now()[:3] == (TRUE, TRUE, ClockState.SUSPECT)


def confirmed(machine: MachineClock) -> Clock:
    clock = clock_of(machine)
    clock.provider_time(TRUE)
    assert clock.now().state is ClockState.CONFIRMED
    return clock


@pytest.mark.parametrize("off", [-365 * DAY_S, -5_400, -301, 301, 5_400, DAY_S])
def test_one_wrong_date_moves_neither_of_two_clocks_that_agree(
    machine: MachineClock, off: float
) -> None:
    clock = confirmed(machine)

    for _ in range(100):
        machine.advance(60)
        clock.provider_time(machine.true + off)
        now = clock.now()
        assert (now.earliest, now.latest) == tuple(sorted((machine.true, machine.true + off)))
        assert (now.state, now.likely) == (ClockState.SUSPECT, machine.true)

    clock.provider_time(machine.true)
    assert clock.now().state is ClockState.CONFIRMED
    assert clock.now().earliest == clock.now().latest == machine.true


@pytest.mark.parametrize("off", [-DAY_S, DAY_S])
def test_a_webhook_settles_what_a_date_contests(machine: MachineClock, off: float) -> None:
    clock = confirmed(machine)
    clock.provider_time(TRUE + off)

    clock.webhook_verified()

    assert clock.now() == (TRUE, TRUE, ClockState.CONFIRMED, None, TRUE)


@pytest.mark.parametrize("every_s", [1, 60, 299])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_date_that_stands_still_never_wins(
    machine: MachineClock, every_s: int, restarted: bool
) -> None:
    clock = confirmed(machine)
    if restarted:
        machine.advance(7_200)
        clock = clock_of(machine)

    for _ in range(2 * 7_200 // every_s):
        machine.advance(every_s)
        clock.provider_time(TRUE)
        assert clock.now().latest == machine.true


def test_a_date_that_goes_on_is_in_the_end_believed_over_a_later_clock_nothing_confirms(
    machine: MachineClock,
) -> None:
    machine.now = TRUE + DAY_S
    clock = clock_of(machine)

    for _ in range(61):
        clock.provider_time(machine.true)
        machine.advance(60)

    assert clock.now()[:3] == (machine.true, machine.true, ClockState.SUSPECT)


def test_a_date_that_goes_on_is_never_believed_over_an_earlier_clock(
    machine: MachineClock,
) -> None:
    clock = clock_of(machine)

    for _ in range(1_000):
        clock.provider_time(machine.true + DAY_S)
        machine.advance(60)
        assert clock.now().earliest == machine.true


def test_clocks_that_differ_as_clocks_do_are_both_right(machine: MachineClock) -> None:
    machine.now = TRUE + 299
    clock = clock_of(machine)

    clock.provider_time(TRUE)

    assert clock.now() == (TRUE + 299, TRUE + 299, ClockState.CONFIRMED, 299, TRUE + 299)


@pytest.mark.parametrize("off", [-DAY_S, DAY_S])
@pytest.mark.parametrize("date", ["the machine's", "the steady clock's"])
def test_a_date_that_agrees_with_either_settles_it_when_a_clock_was_set(
    machine: MachineClock, off: float, date: str
) -> None:
    clock = confirmed(machine)
    machine.now += off
    agreed = machine.now if date == "the machine's" else machine.true

    clock.provider_time(agreed)

    assert clock.now().earliest == clock.now().latest == agreed


@pytest.mark.parametrize("off", [-DAY_S, DAY_S])
def test_a_clock_that_was_set_leaves_two_times_until_somebody_confirms_one(
    machine: MachineClock, off: float
) -> None:
    clock = clock_of(machine)

    machine.now += off
    machine.advance(10)

    low, high = sorted((TRUE + 10, TRUE + 10 + off))
    assert clock.now() == (low, high, ClockState.SUSPECT, None, low)
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
    clock.provider_time(TRUE)
    assert clock.for_deleting() == TRUE


def test_one_wrong_clock_of_two_makes_nothing_old(machine: MachineClock) -> None:
    clock = clock_of(machine)

    clock.provider_time(TRUE + 365 * DAY_S)

    assert clock.now().latest == TRUE + 365 * DAY_S
    assert clock.for_deleting() == TRUE


def test_a_provider_that_is_away_does_not_keep_events_for_ever(machine: MachineClock) -> None:
    clock = clock_of(machine)

    machine.advance(UNCONFIRMED_S)

    assert clock.for_deleting() == machine.true
    machine.now += DAY_S
    assert clock.for_deleting() == 0


def test_a_date_before_any_that_can_be_right_is_no_witness(machine: MachineClock) -> None:
    for date in (0.0, -1.0, 5.0, 1_700_000_000.0):
        clock = clock_of(machine)
        for _ in range(61):
            clock.provider_time(date + machine.steady())
            machine.advance(60)

        assert clock.now()[:4] == (machine.true, machine.true, ClockState.UNCONFIRMED, None)


def test_two_tolerances_do_not_add_up(machine: MachineClock) -> None:
    machine.now = TRUE + 200
    clock = confirmed(machine)

    for _ in range(3):
        machine.advance(60)
        machine.now = machine.true + 450
        assert clock.now()[:4] == (
            machine.true + 200,
            machine.true + 200,
            ClockState.SUSPECT,
            450,
        )
        clock.provider_time(machine.true)

    machine.put_right()
    assert clock.now()[:3] == (machine.true, machine.true, ClockState.CONFIRMED)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(-1_000, 1_000) | st.sampled_from([-DAY_S, DAY_S])),
        st.tuples(st.just("pass"), st.sampled_from([1.0, 60.0, 3_700.0])),
        st.tuples(st.just("date"), st.just(0.0) | st.floats(-1_000, 1_000)),
        st.tuples(st.sampled_from(["look", "webhook"]), st.just(0.0)),
    ),
    max_size=15,
)


@given(steps)
@example([("set", 200.0), ("date", 0.0), ("set", 450.0)])
@example([("set", -299.0), ("webhook", 0.0), ("date", 0.0), ("look", 0.0), ("set", -590.0)])
def test_a_confirmed_time_is_within_one_tolerance_while_the_date_or_the_machine_is_right(
    story: list[tuple[str, float]],
) -> None:
    machine = MachineClock(TRUE)
    clock = clock_of(machine)
    date_ahead: float | None = None

    for what, seconds in story:
        match what:
            case "set":
                machine.now = machine.true + seconds
            case "pass":
                machine.advance(seconds)
            case "date":
                date_ahead = seconds
                clock.provider_time(machine.true + seconds)
            case "webhook" if abs(machine.now - machine.true) <= CLOCKS_APART_S:
                clock.webhook_verified()
        now = clock.now()
        if now.state is not ClockState.CONFIRMED:
            continue
        assert now.earliest == now.latest == now.likely == machine.now
        if date_ahead == 0:
            assert abs(now.latest - machine.true) <= CLOCKS_APART_S + 1e-3
