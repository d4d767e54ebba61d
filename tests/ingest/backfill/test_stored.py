"""What a sweep stores: all that was missed and is for this gateway, once and in order."""

import json
from dataclasses import replace

from conferencing.v1.event_pb2 import EVENT_ORIGIN_BACKFILL
from gateway.ingest.backfill.report import State
from gateway.ingest.backfill.sweep import Addressees
from gateway.ingest.webhooks.body import BODY_BYTES_MAX
from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.records.backfill import Cause, Verdict
from gateway.upstream.deliveries import Delivery
from tests.harness.events import new_event
from tests.ingest.backfill.bench import Bench, summaries
from tests.ingest.backfill.deliveries import HERE, delivery


def test_what_was_sent_while_the_gateway_was_away_is_stored_in_order(bench: Bench) -> None:
    bench.sweep()
    bench.received("event-0")
    for number in range(1, 11):
        bench.clock.advance(12)
        bench.provider.add(number, bench.us)
    bench.restart()

    ended = bench.sweep()

    assert summaries(ended) == [(Cause.START, True)]
    assert bench.held_ids == [f"event-{number}" for number in range(11)]
    missed = bench.held[1:]
    assert {event.origin for event in missed} == {EVENT_ORIGIN_BACKFILL}
    assert {event.type for event in missed} == {"conference.participant.joined"}
    assert {event.conference_id for event in missed} == {"conf-1"}
    assert bench.backfill.report.stored == 10
    assert bench.backfill.report.state is State.IDLE


def test_what_a_log_has_lost_is_fetched_into_the_one_that_has_taken_its_place(
    bench: Bench,
) -> None:
    """As when a backup is restored under a gateway: what this had read before does not count."""
    bench.sweep()
    oldest_us = bench.us
    for number in range(1, 6):
        bench.clock.advance(60)
        bench.provider.add(number, bench.us)
        bench.received(f"event-{number}")
    bench.sweep(5)
    assert bench.backfill.report.complete is not None

    bench.replace_log()
    restored = new_event(id_="event-1", received_at_us=oldest_us + 60_000_000)
    bench.loop.run(bench.log.journal.append(restored))
    assert bench.backfill.report.complete is None
    (ended,) = bench.sweep()

    assert (ended.cause, ended.succeeded) == (Cause.START, True)
    assert bench.held_ids == [f"event-{number}" for number in range(1, 6)]


def test_what_is_held_is_not_stored_again(bench: Bench) -> None:
    bench.sweep()
    bench.received("event-1", "event-2")
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    bench.clock.advance(10)

    bench.sweep(2)

    assert bench.held_ids == ["event-1", "event-2", "event-3"]
    assert bench.verdicts[Verdict.STORED] == 1


def test_webhooks_of_other_applications_stay_out(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    bench.provider.rewrite(0, urls=frozenset({"https://elsewhere.example/hooks"}))
    bench.provider.rewrite(1, urls=None)

    bench.sweep()

    # One whose address is not told may be ours.
    assert sorted(bench.held_ids) == ["event-2", "event-3"]
    assert bench.verdicts == {Verdict.FOREIGN: 1, Verdict.STORED: 2}


def test_own_addresses_can_be_named() -> None:
    named = Addressees(["https://a.example/hooks/", "https://b.example/telnyx"])

    def told(*urls: str) -> bool:
        return named.include(delivery(1, 0, frozenset(urls)))

    assert told("https://a.example/hooks")
    assert told("https://elsewhere.example/", "https://b.example/telnyx")
    assert not told(HERE)


def test_what_is_no_event_is_passed_over(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    bench.provider.add(1, bench.us)
    bench.provider.deliveries.append(
        Delivery("delivery-2", bench.us, frozenset({HERE}), b'{"data": {"id": "event-2"}}')
    )

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    assert bench.verdicts == {Verdict.UNREADABLE: 1, Verdict.STORED: 1}


def test_an_event_that_cannot_be_stored_does_not_keep_out_the_others(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    append = bench.log.journal.append

    async def fail_together(event: NewEvent) -> Appended:
        # As a group does in which one cannot be stored: the first time all of them fail.
        if event.id == "event-2" or event.id not in asked:
            asked.add(event.id)
            raise LogUnavailableError("the event log cannot be written")
        return await append(event)

    asked: set[str] = set()
    bench.log.journal.append = fail_together  # type: ignore[method-assign]

    assert summaries(bench.sweep()) == [(Cause.START, True)]

    assert bench.held_ids == ["event-1", "event-3"]
    assert bench.backfill.report.unreadable == 1


def test_a_webhook_too_large_to_be_sent_to_anybody_stays_out(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    bench.provider.add(1, bench.us)
    body = json.loads(delivery(2, bench.us).webhook)
    body["data"]["payload"]["client_state"] = "x" * BODY_BYTES_MAX
    large = replace(delivery(2, bench.us), webhook=json.dumps(body).encode())
    malformed = delivery(3, bench.us, frozenset({"http://[", "//"}))
    bench.provider.deliveries += [large, malformed]

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    assert bench.verdicts == {Verdict.STORED: 1, Verdict.UNREADABLE: 1, Verdict.FOREIGN: 1}
