"""Deadlines: what is left of them, and what is kept back of a caller's."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.deadline import Deadline
from tests.harness.clock import ManualClock


@given(st.floats(0, 1e6))
def test_the_work_ends_before_the_caller_gives_up(seconds: float) -> None:
    clock = ManualClock()
    remaining = Deadline.before_callers(seconds, default=10, now=clock).remaining()

    assert seconds - 0.2 - 1e-6 <= remaining <= seconds - 0.01 + 1e-6
    # A tenth at the most, where that is more than the least that is needed.
    assert remaining >= min(seconds * 0.9, seconds - 0.01) - 1e-6


def test_who_waits_for_ever_waits_for_the_default() -> None:
    clock = ManualClock()
    assert Deadline.before_callers(None, default=10, now=clock).remaining() == 10
    assert Deadline.before_callers(None, now=clock).remaining() == math.inf
