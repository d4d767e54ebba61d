"""When a sweep is made, and what it asks for."""

import pytest

from gateway.ingest.backfill.backfill import FAILED_WRITE_DELAY_S
from gateway.records.backfill import Cause
from tests.ingest.backfill.bench import INTERVAL_S, Bench


def test_while_webhooks_come_in_only_failures_are_asked_for(bench: Bench) -> None:
    causes = []
    for number in range(5):
        causes += [it.cause for it in bench.sweep()]
        bench.clock.advance(INTERVAL_S)
        bench.received(f"event-{number}")

    # After a start everything, until all that had been under way is final.
    assert causes == [Cause.START] * 3 + [Cause.ROUTINE] * 2
    assert [it.failed_only for it in bench.provider.requests][-2:] == [True, True]


def test_silence_asks_for_everything(bench: Bench) -> None:
    causes = [it.cause for it in bench.sweep(5)]

    assert causes == [Cause.START] * 3 + [Cause.SILENCE] * 2
    assert not any(it.failed_only for it in bench.provider.requests)


def test_a_failed_write_asks_for_everything_soon_and_again_when_all_is_final(
    bench: Bench,
) -> None:
    bench.sweep(4)
    bench.received("event-0")
    # Only what has failed ends the wait for the next sweep.
    bench.endless_s = INTERVAL_S

    def fail_to_store(_: object) -> None:
        bench.backfill.webhook_received("log_unavailable")
        bench.provider.before_answer = lambda request: None

    bench.provider.before_answer = fail_to_store

    routine, soon = bench.sweep(2)

    assert routine.cause is Cause.ROUTINE
    waited_s = soon.began - (routine.began + routine.seconds)
    assert waited_s == pytest.approx(FAILED_WRITE_DELAY_S)
    causes = [soon.cause]
    for number in range(1, 4):
        bench.clock.advance(INTERVAL_S)
        bench.received(f"event-{number}")
        causes += [it.cause for it in bench.sweep()]
    assert causes == [Cause.FAILED_WRITE] * 3 + [Cause.ROUTINE]
