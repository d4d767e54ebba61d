"""Clocks that are wrong, by how much, and an outage while they are."""

from tests.ingest.backfill.bench import DAY_S, Bench

OUTAGE_S = 7_200.0

# What `GATEWAY_RETENTION_AGE` is when only the size counts.
NO_AGE_S = 100 * 365 * DAY_S

OFF = [-365 * DAY_S, -DAY_S, -3_600.0, 3_600.0, DAY_S, 365 * DAY_S]
off_ids = ["a year behind", "a day behind", "an hour behind", "an hour ahead", "a day", "a year"]


def true_us(bench: Bench) -> int:
    return round(bench.clock.true * 1e6)


def outage(bench: Bench) -> set[str]:
    """Two hours in which the provider delivers nothing; returns what it sent."""
    sent = set()
    for number in range(1, 121):
        bench.clock.advance(OUTAGE_S / 120)
        bench.provider.add(number, true_us(bench))
        sent.add(f"event-{number}")
    return sent


def claims_no_more_than_it_knows(bench: Bench) -> None:
    reported = bench.backfill.report.complete
    assert reported is not None
    assert reported.until_us <= true_us(bench)
