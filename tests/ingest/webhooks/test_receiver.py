"""Webhooks over HTTP: what is taken, and what each kind of bad request gets."""

import base64
import http.client
import json
import logging
import socket
import time
import urllib.request

import pytest

from conferencing.v1.event_service_pb2 import GetEventRequest, GetFeedInfoRequest
from gateway.ingest.webhooks.body import BODY_BYTES_MAX
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.logs import full_disk
from tests.harness.webhooks import Signer, event_id, webhook


def held(gateway: RunningGateway) -> int:
    count: int = gateway.events.GetFeedInfo(GetFeedInfoRequest()).event_count
    return count


def test_a_signed_event_is_stored_before_it_is_answered(fresh: RunningGateway) -> None:
    id_ = event_id()

    reply = fresh.webhooks.post(webhook(id_=id_))

    assert (reply.status, reply.body) == (200, {"status": "stored"})
    stored = fresh.events.GetEvent(GetEventRequest(event_id=id_)).event
    assert (stored.id, stored.sequence) == (id_, 1)


def test_standard_webhooks_are_taken_too(fresh: RunningGateway) -> None:
    body = webhook()

    assert fresh.webhooks.post(body, fresh.signer.standard(body)).status == 200


def test_a_duplicate_is_answered_and_stored_once(fresh: RunningGateway) -> None:
    body = webhook()
    other_attempt = body.replace(b'"attempt": 1', b'"attempt": 2')

    assert fresh.webhooks.post(body).body == {"status": "stored"}
    assert fresh.webhooks.post(body).body == {"status": "duplicate"}
    assert fresh.webhooks.post(other_attempt).body == {"status": "duplicate"}
    assert held(fresh) == 1


def test_several_keys_serve_for_rotation(start_gateway: StartGateway) -> None:
    old, new = Signer(5), Signer(6)
    gateway = start_gateway(
        public_key=f"{old.public_key}, whpk_{new.public_key}",
    )

    for signer in (old, new):
        body = webhook()
        assert gateway.webhooks.post(body, signer.telnyx(body)).status == 200
    body = webhook()
    assert gateway.webhooks.post(body, Signer(7).telnyx(body)).status == 401


@pytest.mark.parametrize("scheme", ["telnyx", "standard"])
@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ("no headers", 400, "MISSING_HEADER"),
        ("no timestamp", 400, "MISSING_HEADER"),
        ("bad base64", 400, "BAD_SIGNATURE"),
        ("short signature", 400, "BAD_SIGNATURE"),
        ("bad timestamp", 400, "BAD_TIMESTAMP"),
        ("long timestamp", 400, "BAD_TIMESTAMP"),
        ("old", 401, "STALE_TIMESTAMP"),
        ("future", 401, "STALE_TIMESTAMP"),
        ("forged", 401, "SIGNATURE_MISMATCH"),
        ("another body", 401, "SIGNATURE_MISMATCH"),
        ("moved timestamp", 401, "SIGNATURE_MISMATCH"),
    ],
)
def test_each_kind_of_bad_signature_has_its_answer(
    gateway: RunningGateway, scheme: str, change: str, status: int, reason: str
) -> None:
    body = webhook()
    signer = Signer(99) if change == "forged" else gateway.signer
    sign = signer.telnyx if scheme == "telnyx" else signer.standard
    offset = {"old": -301, "future": 320}.get(change, 0)
    headers = sign(body, time.time() + offset)
    stamp = next(name for name in headers if name.endswith("timestamp"))
    signature = next(name for name in headers if "signature" in name)
    prefix = "v1a," if scheme == "standard" else ""
    match change:
        case "no headers":
            headers = {}
        case "no timestamp":
            del headers[stamp]
        case "bad base64":
            headers[signature] = prefix + "%%%"
        case "short signature":
            headers[signature] = prefix + base64.b64encode(b"short").decode()
        case "bad timestamp":
            headers[stamp] = "yesterday"
        case "long timestamp":
            headers[stamp] = "1" * 400
        case "another body":
            body = webhook()
        case "moved timestamp":
            headers[stamp] = str(int(headers[stamp]) - 10)

    reply = gateway.webhooks.post(body, headers)

    assert (reply.status, reply.reason) == (status, reason)


def test_a_truncated_webhook_is_refused(gateway: RunningGateway) -> None:
    body = webhook()

    reply = gateway.webhooks.post(body[:-20], gateway.signer.telnyx(body))

    assert reply.reason == "SIGNATURE_MISMATCH"


def test_an_hmac_signature_alone_is_refused(gateway: RunningGateway) -> None:
    body = webhook()
    headers = gateway.signer.standard(body) | {"webhook-signature": "v1,Zm9v"}

    reply = gateway.webhooks.post(body, headers)

    assert (reply.status, reply.reason) == (400, "BAD_SIGNATURE")
    assert "v1a" in reply.body["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "NOT_JSON"),
        (b"{", 400, "NOT_JSON"),
        (b"\xff\xfe", 400, "NOT_JSON"),
        (b"[]", 422, "NOT_AN_EVENT"),
        (b"{}", 422, "NOT_AN_EVENT"),
        (b'{"data": 3}', 422, "NOT_AN_EVENT"),
        (b'{"data": {"id": "x"}}', 422, "NOT_AN_EVENT"),
        (b'{"data": {"event_type": "x"}}', 422, "NOT_AN_EVENT"),
        (b'{"data": {"id": true, "event_type": "x"}}', 422, "NOT_AN_EVENT"),
        (b'{"event_type": "call_initiated", "payload": {}}', 422, "API_VERSION_1"),
    ],
)
def test_what_is_signed_but_no_event_has_its_answer(
    gateway: RunningGateway, body: bytes, status: int, reason: str
) -> None:
    reply = gateway.webhooks.post(body)

    assert (reply.status, reply.reason) == (status, reason)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_taken(gateway: RunningGateway, method: str) -> None:
    reply = gateway.webhooks.send(method, None, {})

    assert (reply.status, reply.reason) == (405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "POST"
    assert "POST" in reply.body["error"]["message"]


def test_a_body_above_the_limit_is_refused_unread(gateway: RunningGateway) -> None:
    connection = http.client.HTTPConnection(gateway.http_address, timeout=20)
    connection.putrequest("POST", "/webhooks/telnyx")
    connection.putheader("content-length", str(10**9))
    connection.endheaders()

    response = connection.getresponse()

    assert response.status == 413
    assert json.loads(response.read())["error"]["reason"] == "BODY_TOO_LARGE"
    connection.close()


def test_a_body_of_unknown_length_is_limited_too(gateway: RunningGateway) -> None:
    connection = http.client.HTTPConnection(gateway.http_address, timeout=20)
    parts = (b"x" * 65_536 for _ in range(BODY_BYTES_MAX // 65_536 + 1))
    headers = gateway.webhooks.signer.telnyx(b"", int(time.time()))
    connection.request("POST", "/webhooks/telnyx", parts, headers, encode_chunked=True)

    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.slow
def test_a_sender_that_hangs_up_half_way_leaves_nothing_behind(fresh: RunningGateway) -> None:
    host, _, port = fresh.http_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{"
        )

    assert fresh.webhooks.post(webhook()).status == 200
    assert held(fresh) == 1


def test_a_webhook_that_cannot_be_stored_is_asked_for_again(fresh: RunningGateway) -> None:
    body = webhook(payload={"padding": "x" * 100_000})

    with full_disk(fresh.log):
        refused = [fresh.webhooks.post(body) for _ in range(2)]

    assert {(reply.status, reply.reason) for reply in refused} == {(503, "LOG_UNAVAILABLE")}
    assert refused[0].headers["retry-after"] == "5"
    assert fresh.webhooks.post(body).body == {"status": "stored"}
    assert held(fresh) == 1


def test_nothing_of_a_refused_webhook_is_stored(fresh: RunningGateway) -> None:
    body = webhook()
    fresh.webhooks.post(body, Signer(99).telnyx(body))
    fresh.webhooks.post(b"{}")

    assert held(fresh) == 0


def test_no_secret_and_no_body_is_logged(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "client-state-of-a-customer"
    with caplog.at_level(logging.DEBUG, "gateway"):
        body = webhook(client_state=secret)
        headers = Signer(99).telnyx(body)
        gateway.webhooks.post(body, headers)
        gateway.webhooks.post(body)

    assert "SIGNATURE_MISMATCH" in caplog.text
    assert secret not in caplog.text
    assert headers["telnyx-signature-ed25519"] not in caplog.text
    assert "KEY0123456789" not in caplog.text


def test_the_outcomes_are_counted(fresh: RunningGateway) -> None:
    body = webhook("call.enqueued")
    fresh.webhooks.post(body)
    fresh.webhooks.post(body)
    fresh.webhooks.post(body, {})

    text = fresh.metrics()
    for line in (
        'gateway_webhooks_total{outcome="stored"} 1.0',
        'gateway_webhooks_total{outcome="duplicate"} 1.0',
        'gateway_webhooks_total{outcome="missing_header"} 1.0',
        'gateway_events_total{type="call.enqueued"} 1.0',
        "gateway_feed_newest_sequence 1.0",
        "gateway_log_events 1.0",
    ):
        assert line in text


def test_another_address_says_where_webhooks_go(gateway: RunningGateway) -> None:
    connection = http.client.HTTPConnection(gateway.http_address, timeout=20)
    connection.request("POST", "/webhook")
    response = connection.getresponse()

    assert response.status == 404
    assert "/webhooks/telnyx" in response.read().decode()
    connection.close()


def test_a_slash_at_the_end_of_the_address_makes_no_difference(fresh: RunningGateway) -> None:
    body = webhook()
    request = urllib.request.Request(
        fresh.webhook_url + "/", body, fresh.webhooks.signer.telnyx(body)
    )

    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
