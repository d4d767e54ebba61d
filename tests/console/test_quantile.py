"""Quantiles of buckets, as Prometheus has them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.quantile import quantile

BOUNDS = (0.1, 0.2, 0.5, math.inf)


def buckets_of(values: list[float]) -> dict[float, float]:
    return {bound: float(sum(it <= bound for it in values)) for bound in BOUNDS}


def test_within_a_bucket_values_are_taken_to_be_spread_evenly() -> None:
    assert quantile(0.5, {0.1: 0.0, 0.2: 10.0, math.inf: 10.0}) == pytest.approx(0.15)


def test_of_what_is_above_all_bounds_the_highest_bound_is_known() -> None:
    assert quantile(0.99, buckets_of([9.0])) == 0.5


@pytest.mark.parametrize("buckets", [{}, {0.1: 0.0, math.inf: 0.0}])
def test_nothing_has_no_quantile(buckets: dict[float, float]) -> None:
    assert quantile(0.99, buckets) is None


@given(st.lists(st.floats(0.0, 1.0), min_size=1), st.floats(0.01, 1.0))
def test_it_lies_in_the_bucket_of_the_real_one(values: list[float], share: float) -> None:
    real = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    found = quantile(share, buckets_of(values))

    assert found is not None
    low = max((it for it in (0.0, *BOUNDS) if it < real), default=0.0)
    high = min(it for it in BOUNDS if it >= real)
    assert low <= found <= (high if high < math.inf else low) + 1e-9
