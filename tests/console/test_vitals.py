"""Vitals: samples of what was counted, an hour of them."""

from gateway.console import vitals as v
from gateway.console.vitals import SAMPLES_MAX, Vitals
from tests.harness.clock import ManualClock


def test_a_sample_has_rates_and_averages_of_its_own_time() -> None:
    clock, counted = ManualClock(1_000.0), dict.fromkeys(v.NAMES, 0.0)
    vitals = Vitals(lambda: dict(counted), clock)
    vitals.take()
    counted |= {v.WEBHOOKS: 50.0, v.WEBHOOK_COUNT: 50.0, v.WEBHOOK_SUM: 0.1, v.STREAMS: 3.0}
    clock.advance(10.0)

    vitals.take()

    (sample,) = vitals.samples
    assert (sample["at"], sample["webhooks_per_s"], sample["webhook_ms"]) == (1_010_000, 5.0, 2.0)
    assert (sample["lag_ms"], sample["streams"], sample["requests_per_s"]) == (None, 3.0, 0.0)


def test_an_hour_is_kept() -> None:
    clock = ManualClock()
    vitals = Vitals(lambda: dict.fromkeys(v.NAMES, clock.now), clock)

    for _ in range(SAMPLES_MAX + 10):
        vitals.take()
        clock.advance(10.0)

    assert len(vitals.samples) == SAMPLES_MAX


def test_a_clock_that_is_set_back_makes_no_sample() -> None:
    clock = ManualClock()
    vitals = Vitals(lambda: dict.fromkeys(v.NAMES, 0.0), clock)
    vitals.take()
    clock.advance(-5.0)

    vitals.take()

    assert vitals.samples == ()
