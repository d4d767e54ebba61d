"""Limits as the callers file has them."""

from dataclasses import asdict
from typing import Any

import pytest

from gateway.callers.caller import Caller, Role
from gateway.callers.limits import Limits


def test_what_is_not_named_has_its_default() -> None:
    assert Limits.of({}) == Limits()
    assert Limits.of({"streams": 3}) == Limits(streams=3)
    assert Caller("desk", Role.READER).limits == Limits()


def test_all_of_them_can_be_set() -> None:
    given = {name: number for number, name in enumerate(asdict(Limits()), 1)}

    assert asdict(Limits.of(given)) == given


@pytest.mark.parametrize(("rate", "burst"), [(10, 20), (2.5, 5), (0.1, 1)])
def test_a_rate_without_a_burst_allows_that_of_two_seconds_at_once(rate: float, burst: int) -> None:
    assert Limits.of({"calls_per_second": rate}).burst == burst
    assert Limits.of({"calls_per_second": rate, "burst": 7}).burst == 7


def test_streams_that_come_back_together_are_within_the_burst() -> None:
    assert Limits().burst >= Limits().streams


def test_every_mistake_is_named() -> None:
    given = {"stream": 1, "burst": 0, "searches": True, "teapots": 1, "streams": "many"}

    with pytest.raises(ValueError, match="is no limit") as raised:
        Limits.of(given)

    known = ", ".join(asdict(Limits()))
    assert str(raised.value).splitlines() == [
        "'stream' is no limit: did you mean streams?",
        "burst must be a whole number from 1 to 1,000,000",
        "searches must be a whole number from 1 to 10,000",
        f"'teapots' is no limit; known are {known}",
        "streams must be a whole number from 1 to 100,000",
    ]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1", None, [1]])
def test_a_rate_must_be_a_number_that_calls_can_keep(value: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^calls_per_second must be a number from 0.01 to 100,000$"
    ):
        Limits.of({"calls_per_second": value})


@pytest.mark.parametrize("value", [1.5, 0, 10**9, False])
def test_a_count_must_be_whole_and_within_its_bounds(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^streams must be a whole number from 1 to 100,000$"):
        Limits.of({"streams": value})
