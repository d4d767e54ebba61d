"""Quantiles of what is counted in buckets (Prometheus, "histogram_quantile")."""

from collections.abc import Mapping
from itertools import pairwise


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return the value that a share of all are at most, None of nothing.

    `buckets` are how many are at most a bound, by that bound; the last one, infinity, has all.
    Within a bucket values are taken to be spread evenly. What is in the last one is only known to
    be above the highest bound, which is returned.
    """
    ordered = sorted(buckets.items())
    if not ordered or ordered[-1][1] <= 0:
        return None
    wanted = share * ordered[-1][1]
    for (low, below), (high, up_to) in pairwise([(0.0, 0.0), *ordered]):
        if up_to >= wanted:
            if high == float("inf"):
                return low
            return low + (high - low) * (wanted - below) / (up_to - below)
    return ordered[-1][0]
