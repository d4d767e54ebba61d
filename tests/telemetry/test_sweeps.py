"""What is made of a sweep's record: a line if it failed or stored something, and a count."""

import logging

import pytest

from gateway.records.backfill import Cause, SweepEnded
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry

FAILED = SweepEnded(Cause.SILENCE, 5.0, 2.5, stored=3, error="the provider cannot be reached")


@pytest.mark.parametrize(
    ("ended", "lines"),
    [
        (SweepEnded(Cause.ROUTINE, 5.0, 2.5), []),
        (
            SweepEnded(Cause.START, 5.0, 2.5, stored=3),
            [("INFO", "backfill (start) stored 3 events that had been missed, in 2.5 s")],
        ),
        (
            FAILED,
            [
                (
                    "WARNING",
                    "backfill (silence) failed after 2.5 s and will be tried again: the provider"
                    " cannot be reached",
                )
            ],
        ),
        (
            # Whatever its text is.
            SweepEnded(Cause.FAILED_WRITE, 5.0, 2.5, error=""),
            [("WARNING", "backfill (failed_write) failed after 2.5 s and will be tried again: ")],
        ),
    ],
    ids=["found nothing", "stored", "failed", "failed without a word"],
)
def test_a_sweep_has_a_line_if_it_failed_or_stored_something(
    caplog: pytest.LogCaptureFixture, ended: SweepEnded, lines: list[tuple[str, str]]
) -> None:
    caplog.set_level(logging.INFO)
    metrics = Metrics()

    Telemetry(metrics).observe(ended)

    assert [(it.levelname, it.getMessage()) for it in caplog.records] == lines
    result = "succeeded" if ended.succeeded else "failed"
    counted = f'gateway_backfill_sweeps_total{{cause="{ended.cause.value}",outcome="{result}"}} 1.0'
    assert counted in metrics.text().decode()
