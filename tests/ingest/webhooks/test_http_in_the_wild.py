"""Webhooks as proxies, curl and others send them: whatever is valid HTTP is taken."""

import re
from collections.abc import Callable

import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from gateway.ingest.webhooks.decoder import WebhookDecoder
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import webhook
from tests.harness.wire import chunked, exchange, request

Lines = list[tuple[str, str]]


def signed(gateway: RunningGateway, body: bytes) -> Lines:
    return list(gateway.signer.telnyx(body).items())


def stored(gateway: RunningGateway, *pieces: bytes) -> bool:
    (response,) = exchange(gateway.http_address, *pieces)
    return (response.status, response.body) == (200, {"status": "stored"})


H2C = [
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
]


@pytest.mark.parametrize(
    "offer",
    [
        H2C,
        [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")],
        [("Connection", "upgrade"), ("Upgrade", "h2c, TLS/1.3"), ("Upgrade", "websocket")],
        [("Upgrade", "h2c")],
    ],
)
@pytest.mark.parametrize("pieces", ["in one", "head and body", "byte by byte"])
def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(
    gateway: RunningGateway, offer: Lines, pieces: str
) -> None:
    body = webhook()
    whole = request(body, offer + signed(gateway, body))
    head = len(whole) - len(body)
    sent = {
        "in one": [whole],
        "head and body": [whole[:head], whole[head:]],
        "byte by byte": [whole[at : at + 1] for at in range(len(whole))],
    }

    assert stored(gateway, *sent[pieces])


def test_an_offer_to_upgrade_is_ignored_with_chunks_and_among_other_requests(
    gateway: RunningGateway,
) -> None:
    first, second, third = webhook(), webhook(), webhook()
    offered = H2C + signed(gateway, second) + [("transfer-encoding", "chunked")]

    responses = exchange(
        gateway.http_address,
        request(first, H2C + signed(gateway, first))
        + request(b"", offered, length=False)
        + chunked(second[:9], second[9:])
        + request(third, signed(gateway, third)),
        responses=3,
    )

    assert [it.body for it in responses] == [{"status": "stored"}] * 3


def test_an_offer_changes_nothing_about_what_is_refused(gateway: RunningGateway) -> None:
    body = webhook()

    (unsigned,) = exchange(gateway.http_address, request(body, H2C))
    (elsewhere,) = exchange(gateway.http_address, request(body, H2C, "/elsewhere"))

    assert (unsigned.status, unsigned.reason) == (400, "MISSING_HEADER")
    assert (elsewhere.status, elsewhere.reason) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "target",
    [
        "http://gateway.example/webhooks/telnyx",
        "/webhooks/telnyx?source=telnyx&x=%2F",
        "/webhooks/%74elnyx",
        "/webhooks/telnyx/",
        "//webhooks/telnyx",
        "/webhooks//telnyx//",
        "http://gateway.example//webhooks/telnyx",
    ],
)
def test_the_address_is_found_however_it_is_written(gateway: RunningGateway, target: str) -> None:
    body = webhook()

    assert stored(gateway, request(body, signed(gateway, body), target))


def odd_case(name: str) -> str:
    return "".join(it.upper() if at % 2 else it for at, it in enumerate(name))


@pytest.mark.parametrize(
    "made",
    [
        lambda body, lines: request(body, [(odd_case(name), value) for name, value in lines]),
        lambda body, lines: request(body, [(name, f"  {value}\t ") for name, value in lines]),
        lambda body, lines: request(body, [*lines, ("x-empty", ""), ("x-high", "\xff")]),
        lambda body, lines: request(body, [*lines, ("expect", "100-Continue")]),
        lambda body, lines: request(body, lines, version="1.0"),
        lambda body, lines: b"\r\n\r\n" + request(body, lines),
        lambda body, lines: (
            request(b"", [*lines, ("Transfer-Encoding", "chunked")], length=False)
            + chunked(body[:1], body[1:], extension=';a="b"', trailers="x-sum: 1\r\n")
        ),
    ],
    ids=["odd case", "blanks", "empty", "expect", "1.0", "blank lines", "chunks"],
)
def test_any_valid_form_is_taken(
    gateway: RunningGateway, made: Callable[[bytes, Lines], bytes]
) -> None:
    body = webhook()

    assert stored(gateway, made(body, signed(gateway, body)))


def test_a_body_may_begin_with_a_byte_order_mark(gateway: RunningGateway) -> None:
    body = b"\xef\xbb\xbf" + webhook()

    assert stored(gateway, request(body, signed(gateway, body)))


def test_trailers_are_no_headers(gateway: RunningGateway) -> None:
    body = webhook()
    (stamp, signature) = signed(gateway, body)
    trailers = f"{signature[0]}: {signature[1]}\r\n"
    head = request(b"", [stamp, ("transfer-encoding", "chunked")], length=False)

    (response,) = exchange(gateway.http_address, head + chunked(body, trailers=trailers))

    assert response.reason == "MISSING_HEADER"


def test_a_connection_serves_one_request_after_the_other(fresh: RunningGateway) -> None:
    bodies = [webhook() for _ in range(5)]
    pipelined = b"".join(request(body, signed(fresh, body)) for body in bodies)

    responses = exchange(fresh.http_address, pipelined, responses=5)

    assert [it.body for it in responses] == [{"status": "stored"}] * 5
    assert fresh.events.GetFeedInfo(GetFeedInfoRequest()).event_count == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT gateway.example:443 HTTP/1.1\r\nhost: gateway.example:443\r\n\r\n",
        b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\n"
        b"content-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\ncontent-length: 9e9\r\n\r\n",
        b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n"
        b"transfer-encoding: chunked\r\n\r\n",
        b"POST /webhooks/\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_and_counted(fresh: RunningGateway, raw: bytes) -> None:
    (response,) = exchange(fresh.http_address, raw)

    assert (response.status, response.reason) == (400, "BAD_REQUEST")
    assert response.headers["connection"] == "close"
    assert counted(fresh) == {"bad_request": 1.0}


def test_a_head_without_end_is_refused(fresh: RunningGateway) -> None:
    lines = b"".join(b"x-%d: %b\r\n" % (number, bytes([120]) * 1_000) for number in range(80))

    (response,) = exchange(fresh.http_address, b"POST / HTTP/1.1\r\n" + lines)

    assert (response.status, response.reason) == (431, "HEAD_TOO_LARGE")
    assert counted(fresh) == {"head_too_large": 1.0}


def test_a_fault_of_the_gateway_is_answered_logged_and_counted(
    start_gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = start_gateway()

    def failing(*_: object, **__: object) -> None:
        raise OverflowError("a mistake")

    for owner, name in (
        (gateway.log.journal, "append"),
        (WebhookDecoder, "decode"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            reply = gateway.webhooks.post(webhook())
        assert (reply.status, reply.reason) == (500, "GATEWAY_FAILURE")
        assert reply.headers["retry-after"] == "5"
        assert "a mistake" not in str(reply.body)

    assert caplog.text.count("OverflowError: a mistake") == 2
    assert counted(gateway) == {"gateway_failure": 2.0}
    assert gateway.webhooks.post(webhook()).status == 200


def counted(gateway: RunningGateway) -> dict[str, float]:
    """How requests to the webhook address ended, by the metrics."""
    found = re.findall(
        r'^gateway_webhooks_total\{outcome="(\w+)"\} (\S+)$', gateway.metrics(), re.MULTILINE
    )
    return {outcome: float(count) for outcome, count in found}
