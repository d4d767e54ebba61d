"""Vitals: samples of what was counted, an hour of them."""

import pytest

from gateway.console import vitals as v
from gateway.console.vitals import SAMPLES_MAX, Vitals
from gateway.records.attempts import ABANDONED
from tests.harness.clock import ManualClock

NOTHING: dict[str, dict[str, float]] = {name: {} for name in v.NAMES}


def test_a_sample_has_rates_and_times_of_its_own_time() -> None:
    clock, counted = ManualClock(1_000.0), dict(NOTHING)
    counted |= {v.WEBHOOK_TIMES: {"0.1": 40.0, "0.2": 40.0, "+Inf": 40.0}}
    vitals = Vitals(lambda: dict(counted), clock)
    vitals.take()
    # A hundred more: fifty up to 0.1 s, fifty up to 0.2 s.
    counted |= {v.WEBHOOKS: {"": 50.0}, v.STREAMS: {"": 3.0}}
    counted |= {v.WEBHOOK_TIMES: {"0.1": 90.0, "0.2": 140.0, "+Inf": 140.0}}
    clock.advance(10.0)

    vitals.take()

    (sample,) = vitals.samples
    assert (sample["at"], sample["webhooks_per_s"]) == (1_010_000, 5.0)
    assert sample["webhook_ms"] == pytest.approx(198.0)
    assert (sample["lag_ms"], sample["streams"], sample["requests_per_s"]) == (None, 3.0, 0.0)


def test_errors_of_the_provider_are_its_own() -> None:
    clock, counted = ManualClock(), dict(NOTHING)
    vitals = Vitals(lambda: dict(counted), clock)
    vitals.take()
    no_errors = ["200", "204", "404", "422", ABANDONED]
    errors = ["401", "403", "408", "429", "500", "503", "timeout", "no connection"]
    counted |= {v.RESULTS: dict.fromkeys([*no_errors, *errors], 10.0)}
    clock.advance(10.0)

    vitals.take()

    (sample,) = vitals.samples
    assert sample["requests_per_s"] == 13.0
    assert sample["errors_per_s"] == len(errors)


def test_an_hour_is_kept() -> None:
    clock = ManualClock()
    vitals = Vitals(lambda: {name: {"": clock.now} for name in v.NAMES if not v.NAMES[name]}, clock)

    for _ in range(SAMPLES_MAX + 10):
        vitals.take()
        clock.advance(10.0)

    assert len(vitals.samples) == SAMPLES_MAX


def test_a_clock_that_is_set_back_makes_no_sample() -> None:
    clock = ManualClock()
    vitals = Vitals(lambda: NOTHING, clock)
    vitals.take()
    clock.advance(-5.0)

    vitals.take()

    assert vitals.samples == ()
