"""How webhooks are signed, delivered, retried and recorded."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from gateway.sandbox import SandboxSettings
from tests.sandbox.receiver import Received, Receiver
from tests.sandbox.stage import ALICE, BOB, CAROL, Stage


@pytest.fixture
def failover() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def verify(key: str, signed: bytes, signature: str) -> None:
    VerifyKey(base64.b64decode(key)).verify(signed, base64.b64decode(signature))


def test_webhooks_carry_the_providers_signature(stage: Stage) -> None:
    stage.create()
    stage.control.wait_until_delivered()
    one = stage.receiver.received[0]
    stamp, signature = one.headers["telnyx-timestamp"], one.headers["telnyx-signature-ed25519"]

    verify(stage.sandbox.public_key, f"{stamp}|".encode() + one.raw, signature)
    with pytest.raises(BadSignatureError):
        verify(stage.sandbox.public_key, f"{stamp}|".encode() + one.raw + b" ", signature)
    assert stage.control.public_key() == stage.sandbox.public_key
    assert "webhook-signature" not in one.headers


def test_webhooks_can_carry_the_standard_signature_instead_or_as_well(
    open_stage: Callable[..., Stage],
) -> None:
    only = open_stage(signature_schemes=("standard",))
    only.create()
    only.control.wait_until_delivered()
    first = only.receiver.received[0]
    only.receiver.received.clear()
    both = open_stage(signature_schemes=("telnyx", "standard"))
    both.create()
    both.control.wait_until_delivered()
    second = both.receiver.received[0]

    for stage, one in ((only, first), (both, second)):
        assert one.headers["webhook-id"] == one.data["id"]
        version, _, signature = one.headers["webhook-signature"].partition(",")
        stamp = one.headers["webhook-timestamp"]
        signed = f"{one.headers['webhook-id']}.{stamp}.".encode() + one.raw
        assert version == "v1a"
        verify(stage.sandbox.public_key, signed, signature)
    assert "telnyx-signature-ed25519" not in first.headers
    assert "telnyx-signature-ed25519" in second.headers


def test_a_given_seed_makes_the_same_key_again(open_stage: Callable[..., Stage]) -> None:
    seed = bytes(range(32))

    keys = {open_stage(signing_seed=seed).sandbox.public_key for _ in range(2)}

    assert len(keys) == 1
    assert open_stage().sandbox.public_key not in keys


def test_events_arrive_in_order_over_one_connection(stage: Stage) -> None:
    conference = stage.create()
    for number in range(30):
        stage.act(conference, "speak", payload="x" * (number + 1), voice="female")
    stage.control.wait_until_delivered()

    stage.control.advance(60)
    stage.control.wait_until_delivered()

    stamps = [one.data["payload"].get("occurred_at", "") for one in stage.receiver.received[2:]]
    assert stamps == sorted(stamps)
    assert len({one.connection for one in stage.receiver.received}) == 1
    assert {one.body["meta"]["attempt"] for one in stage.receiver.received} == {1}
    assert {one.body["meta"]["delivered_to"] for one in stage.receiver.received} == {
        stage.receiver.url
    }


def test_a_slow_receiver_gets_one_at_a_time_unless_concurrency_allows_more(
    open_stage: Callable[..., Stage],
) -> None:
    for concurrency, expected in ((1, 1), (2, 2)):
        stage = open_stage(webhook_concurrency=concurrency)
        stage.receiver.received.clear()
        go_on = threading.Event()

        def blocked(_: Received, go_on: threading.Event = go_on) -> int:
            go_on.wait(5)
            return 200

        stage.receiver.answer = blocked
        stage.create()  # two events
        stage.receiver.wait_for(expected)
        assert stage.control.pending_deliveries() == 2
        assert len(stage.receiver.received) == expected
        go_on.set()
        stage.control.wait_until_delivered()
        assert len(stage.receiver.received) == 2


def test_a_failing_webhook_is_tried_six_times_within_a_minute(stage: Stage) -> None:
    stage.receiver.answer = lambda _: 500
    stage.enqueue(ALICE)

    stage.control.wait_until_idle()
    counts = [len(stage.receiver.received)]
    for pause in (1, 2, 4, 8, 16):
        stage.control.advance(pause - 0.1)
        counts.append(len(stage.receiver.received))
        stage.control.advance(0.1)
        counts.append(len(stage.receiver.received))
    stage.control.advance(3600)

    assert counts == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert len(stage.receiver.received) == 6
    assert [one.body["meta"]["attempt"] for one in stage.receiver.received] == [1, 2, 3, 4, 5, 6]
    assert len({one.data["id"] for one in stage.receiver.received}) == 1
    assert stage.control.pending_deliveries() == 0
    [delivery] = stage.get("/webhook_deliveries")["data"]
    assert delivery["status"] == "failed"
    assert len(delivery["attempts"]) == 6


def test_one_advance_runs_through_all_retries(stage: Stage) -> None:
    stage.receiver.answer = lambda _: 503
    stage.enqueue(ALICE)

    stage.control.advance(60)

    assert len(stage.receiver.received) == 6


def test_retries_do_not_hold_up_the_others(stage: Stage) -> None:
    stage.receiver.answer = lambda one: 500 if one.type == "conference.created" else 200

    stage.create()
    stage.control.wait_until_idle()

    assert stage.receiver.types == ["conference.created", "conference.participant.joined"]
    assert stage.control.pending_deliveries() == 1


def test_a_retry_that_is_taken_is_the_last(stage: Stage) -> None:
    stage.receiver.answer = lambda one: 200 if one.body["meta"]["attempt"] == 2 else 500
    stage.enqueue(ALICE)
    stage.control.advance(60)

    [delivery] = stage.get("/webhook_deliveries")["data"]
    assert delivery["status"] == "delivered"
    statuses = [one["http"]["response"]["status"] for one in delivery["attempts"]]
    assert statuses == [200, 500]


def test_the_failover_address_is_tried_at_once(
    open_stage: Callable[..., Stage], failover: Receiver
) -> None:
    stage = open_stage(failover_url=failover.url)
    stage.receiver.answer = lambda _: 500

    stage.enqueue(ALICE)
    stage.control.wait_until_delivered()

    assert len(stage.receiver.received) == 1
    assert failover.received[0].body["meta"] == {"attempt": 2, "delivered_to": failover.url}


def test_both_addresses_together_get_six_attempts(
    open_stage: Callable[..., Stage], failover: Receiver
) -> None:
    stage = open_stage(failover_url=failover.url)
    stage.receiver.answer = failover.answer = lambda _: 500

    stage.enqueue(ALICE)
    stage.control.advance(60)

    assert [one.body["meta"]["attempt"] for one in stage.receiver.received] == [1, 3, 5]
    assert [one.body["meta"]["attempt"] for one in failover.received] == [2, 4, 6]


def test_a_redirect_is_a_failure(stage: Stage) -> None:
    stage.receiver.answer = lambda _: 302
    stage.enqueue(ALICE)
    stage.control.wait_until_idle()

    assert stage.control.pending_deliveries() == 1


def test_a_receiver_that_does_not_answer_in_time_has_failed(
    open_stage: Callable[..., Stage],
) -> None:
    stage = open_stage(webhook_timeout_seconds=0.05)
    go_on = threading.Event()

    def blocked(_: Received) -> int:
        go_on.wait(5)
        return 200

    stage.receiver.answer = blocked
    stage.enqueue(ALICE)
    stage.control.wait_until_idle()
    go_on.set()

    [delivery] = stage.get("/webhook_deliveries")["data"]
    [attempt] = delivery["attempts"]
    assert (attempt["status"], attempt["errors"]) == ("failed", [10008])
    assert attempt["http"]["response"] is None


def test_a_receiver_that_is_not_there_has_failed(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(webhook_url="http://127.0.0.1:9/")
    stage.enqueue(ALICE)

    stage.control.advance(60)

    [delivery] = stage.get("/webhook_deliveries")["data"]
    assert (delivery["status"], len(delivery["attempts"])) == ("failed", 6)


def test_without_an_address_events_are_only_in_the_log(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(webhook_url=None)
    stage.create()
    stage.control.wait_until_delivered()

    listed = stage.get("/webhook_deliveries")
    assert [one["webhook"]["event_type"] for one in listed["data"]] == [
        "conference.participant.joined",
        "conference.created",
    ]
    assert {one["status"] for one in listed["data"]} == {"failed"}


def test_the_address_can_be_changed(open_stage: Callable[..., Stage], receiver: Receiver) -> None:
    stage = open_stage(webhook_url=None)

    stage.control.set_webhook_url(receiver.url)
    stage.enqueue(ALICE)

    assert stage.types() == ["call.enqueued"]


def test_the_log_keeps_the_original_webhook(stage: Stage) -> None:
    stage.enqueue(ALICE)
    stage.control.wait_until_delivered()
    [listed] = stage.get("/webhook_deliveries")["data"]

    single = stage.get(f"/webhook_deliveries/{listed['id']}")["data"]

    assert single == listed
    assert single["webhook"] == stage.receiver.received[0].data
    assert single["started_at"] <= single["finished_at"]
    assert stage.http.get("/webhook_deliveries/none").status_code == 404
    sent = dict(single["attempts"][0]["http"]["request"]["headers"])
    assert sent["telnyx-timestamp"] == stage.receiver.received[0].headers["telnyx-timestamp"]


def test_the_log_can_be_filtered(stage: Stage) -> None:
    stage.receiver.answer = lambda one: 418 if one.type == "call.enqueued" else 200
    stage.enqueue(BOB, "sales")
    stage.create(ALICE)
    stage.control.advance(60)
    every = stage.get("/webhook_deliveries")["data"]
    created = next(one for one in every if one["webhook"]["event_type"] == "conference.created")

    def types(**query: str) -> set[str]:
        found = stage.get("/webhook_deliveries", **query)["data"]
        return {one["webhook"]["event_type"] for one in found}

    enqueued, made, joined = (
        "call.enqueued",
        "conference.created",
        "conference.participant.joined",
    )
    assert types(**{"filter[status][eq]": "failed"}) == {enqueued}
    assert types(**{"filter[status][eq]": "delivered"}) == {made, joined}
    assert types(**{"filter[event_type]": f"{enqueued},{joined}"}) == {enqueued, joined}
    assert types(**{"filter[webhook][contains]": "sales"}) == {enqueued}
    assert types(**{"filter[attempts][contains]": "418"}) >= {enqueued}
    assert types(**{"filter[started_at][gte]": created["started_at"]}) == {made, joined}
    assert types(**{"filter[started_at][lte]": created["started_at"]}) == {enqueued, made}
    assert made in types(**{"filter[finished_at][gte]": created["finished_at"]})
    assert types(**{"filter[finished_at][lte]": "2020-01-01T00:00:00Z"}) == set()


def test_old_entries_of_the_log_are_forgotten(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(delivery_log_size=2)
    stage.meet(ALICE, BOB, CAROL)
    stage.control.wait_until_delivered()

    assert stage.get("/webhook_deliveries")["meta"]["total_results"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0},
        {"webhook_concurrency": 0},
        {"webhook_timeout_seconds": 0},
        {"journal_size": 0},
        {"delivery_log_size": 0},
        {"signing_seed": b"short"},
        {"signature_schemes": ("md5",)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxSettings(**wrong)  # type: ignore[arg-type]
