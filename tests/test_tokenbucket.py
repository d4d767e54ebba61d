"""The token bucket: so many at once, and then so many a second, whatever happens when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokenbucket import TokenBucket
from tests.harness.clock import ManualClock

PER_S, BURST = 50, 500

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take all", "spend", "give back"]),
        st.integers(1, 200),
        st.floats(0, 20, allow_subnormal=False),
    ),
    max_size=60,
)


@given(STEPS)
def test_in_no_span_of_time_are_more_taken_than_its_burst_and_its_rate(
    steps: list[tuple[str, int, float]],
) -> None:
    clock = ManualClock(0)
    bucket = TokenBucket(PER_S, BURST, clock)
    # When how many were taken.
    taken: list[tuple[float, float]] = []
    for what, tokens, pause in steps:
        match what:
            case "take":
                if bucket.try_take(tokens):
                    taken.append((clock.now, tokens))
            case "take all":
                while bucket.try_take(tokens):
                    taken.append((clock.now, tokens))
            case "spend":
                bucket.spend(tokens)
            case "give back" if taken:
                bucket.give_back(taken.pop()[1])
        clock.advance(pause)

    for index, (begins, _) in enumerate(taken):
        sum_ = 0.0
        for ends, amount in taken[index:]:
            sum_ += amount
            assert sum_ <= BURST + PER_S * (ends - begins) + 1e-6


def test_what_was_spent_beyond_the_last_token_is_waited_for() -> None:
    clock = ManualClock(0)
    bucket = TokenBucket(PER_S, BURST, clock)

    bucket.spend(BURST + 100)

    assert bucket.held == -100
    assert bucket.wait_s(50) == pytest.approx(3)
    clock.advance(2.9)
    assert not bucket.try_take(50)
    clock.advance(0.1 + 1e-9)
    assert bucket.try_take(50)


def test_it_never_holds_more_than_its_burst() -> None:
    clock = ManualClock(0)
    bucket = TokenBucket(PER_S, BURST, clock)

    clock.advance(1_000)
    bucket.give_back(10)

    assert bucket.held == BURST
    assert bucket.wait_s(BURST) == 0
