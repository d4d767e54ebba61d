"""What all buffers may hold together."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bytebudget import ByteBudget


@given(st.lists(st.integers(0, 400), max_size=30))
def test_new_work_is_refused_exactly_when_it_would_go_beyond_the_limit(sizes: list[int]) -> None:
    budget = ByteBudget(1_000)
    held = 0
    for size in sizes:
        fits = held + size <= 1_000
        assert budget.try_take(size) is fits
        held += size if fits else 0
        assert budget.held == held
    assert budget.refused == len(sizes) - sum(1 for _ in _accepted(sizes))


def _accepted(sizes: list[int]) -> list[int]:
    accepted: list[int] = []
    for size in sizes:
        if sum(accepted) + size <= 1_000:
            accepted.append(size)
    return accepted


def test_work_that_has_begun_can_end_and_what_it_gives_back_is_free_again() -> None:
    budget = ByteBudget(10)
    assert budget.try_take(10)
    budget.take(5)
    assert not budget.try_take(0)
    budget.give_back(5)
    budget.give_back(10)
    assert budget.held == 0
    assert budget.try_take(10)
