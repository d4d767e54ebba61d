"""What one connection may send and hold, and all of them together."""

import pytest

from gateway.ingest.webhooks.body import BODY_BYTES_MAX, LARGE_BYTES_MAX
from gateway.ingest.webhooks.receiver import STATUS_OF_REASON
from gateway.server.http import refusals
from gateway.server.http.protocol import RequestProtocol
from gateway.server.http.refusals import (
    BODY_PIECES_MAX,
    BODY_WIRE_BYTES_MAX,
    HEAD_BYTES_MAX,
    LINGER_S,
    PIPELINED_MAX,
    REST_BYTES_MAX,
    Refusal,
)
from tests.harness.webhooks import webhook
from tests.harness.wire import chunked, request
from tests.http.stage import HEAD, Stage, staged
from tests.oracle.stepped import run_stepped


@staged
async def test_a_head_is_not_blamed_for_the_body_before_it(stage: Stage) -> None:
    wire = stage.connect()
    body = webhook(padding="x" * HEAD_BYTES_MAX)
    whole = request(body, stage.signer.telnyx(body, stage.now).items())
    await stage.send(wire, whole[:200])
    await stage.send(wire, whole[200:] + HEAD)
    await stage.send(wire, b"x-" + bytes([120]) * (HEAD_BYTES_MAX - 3))
    assert not wire.is_closing()

    await stage.send(wire, b"xx")

    assert [it.status for it in wire.responses] == [200, 431]
    assert stage.outcomes == ["stored", "head_too_large"]


# Requests that do not end, by what of them goes on; each piece as the network brings it.
ENDLESS = {
    "its address": (b"GET /", b"x" * 4_096, 431),
    "the name of a header": (HEAD + b"x", b"x" * 4_096, 431),
    "the value of a header": (HEAD + b"x: ", b"x" * 4_096, 431),
    "header lines": (HEAD, b"a:\r\n" * 10, 431),
    "one-byte pieces of a header": (HEAD, b"a: b\r\n", 431),
    "trailers": (None, b"a:\r\n" * 10, 431),
    "the value of a trailer": (None, b"x" * 4_096, 413),
    "chunk extensions": (None, b";a=b" * 1_000, 413),
    "chunks of a byte": (None, b"1\r\nx\r\n" * 100, 413),
    "chunks": (None, b"8000\r\n" + b"x" * 0x8000 + b"\r\n", 413),
}


BEGINNINGS = {
    "trailers": b"2\r\n{}\r\n0\r\n",
    "the value of a trailer": b"2\r\n{}\r\n0\r\nx: ",
    "chunk extensions": b"2",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_does_not_end_is_refused_after_so_much(what: str) -> None:
    head, piece, status = ENDLESS[what]

    async def run(stage: Stage) -> None:
        wire = stage.connect()
        beginning = stage.signed_head() + BEGINNINGS.get(what, b"") if head is None else head
        await stage.send(wire, beginning)
        sent = len(beginning)
        while not wire.is_closing():
            await stage.send(wire, piece)
            sent += len(piece)
            assert sent <= BODY_WIRE_BYTES_MAX + 2 * len(piece) + len(beginning)

        assert [it.status for it in wire.responses] == [status]
        (outcome,) = stage.outcomes
        assert outcome == {431: "head_too_large", 413: "body_too_large"}[status]
        assert not stage.slots.count

    run_stepped(lambda loop: run(Stage(loop)))


@pytest.mark.parametrize(
    "refusal", [it for it in vars(refusals).values() if isinstance(it, Refusal)], ids=str
)
def test_the_receiver_knows_each_reason_for_which_the_server_ends_a_body(refusal: Refusal) -> None:
    assert STATUS_OF_REASON[refusal.reason] == refusal.status


@staged
async def test_a_body_has_so_many_pieces_however_small_they_are(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, stage.signed_head())
    await stage.send(wire, b"1\r\nx\r\n" * BODY_PIECES_MAX)
    assert not wire.is_closing()

    await stage.send(wire, b"1\r\nx\r\n")

    assert [it.status for it in wire.responses] == [413]
    assert wire.is_closing()


@staged
async def test_honest_requests_at_the_bounds_are_served(stage: Stage) -> None:
    wire = stage.connect()
    body = webhook(padding="x" * 60_000)
    signed = stage.signer.telnyx(body, stage.now)
    pieces = chunked(*(body[at : at + 1_000] for at in range(0, len(body), 1_000)))
    lines = {**signed, **{f"x-{number}": "y" * 100 for number in range(100)}}
    lines["transfer-encoding"] = "chunked"
    await stage.send(wire, request(b"", lines.items(), length=False) + pieces)
    for _ in range(PIPELINED_MAX + 1):
        await stage.send(wire, stage.signed())

    assert [it.status for it in wire.responses] == [200] * (PIPELINED_MAX + 2)


@staged
async def test_requests_that_are_sent_ahead_are_bounded(stage: Stage) -> None:
    stage.log.lets.clear()
    wire = stage.connect()
    await stage.send(wire, stage.signed() * 1_000)

    assert wire.is_closing()
    assert stage.outcomes == ["pipelined"]
    protocol = wire.protocol
    assert isinstance(protocol, RequestProtocol)
    assert not protocol.pipeline


@staged
async def test_what_needs_no_body_is_refused_without_one(stage: Stage) -> None:
    stale = {**stage.signer.telnyx(b"", stage.now - 1_000)}
    stale_lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in stale.items())
    for lines, status, reason in [
        (b"", 400, "MISSING_HEADER"),
        (b"telnyx-signature-ed25519: x\r\ntelnyx-timestamp: 1\r\n", 400, "BAD_SIGNATURE"),
        (stale_lines, 401, "STALE_TIMESTAMP"),
    ]:
        wire = stage.connect()
        await stage.send(
            wire, HEAD + lines + b"content-length: 1000\r\nexpect: 100-continue\r\n\r\n"
        )
        (response,) = wire.responses
        assert (response.status, response.reason) == (status, reason)
        assert b"100 Continue" not in wire.received
        # The rest is passed over, and the next request is served.
        await stage.send(wire, b"x" * 1_000 + stage.signed())
        assert [it.status for it in wire.responses] == [status, 200]


@staged
async def test_of_a_large_body_that_is_refused_nothing_more_is_read(stage: Stage) -> None:
    wire = stage.connect()
    head = HEAD + b"content-length: %d\r\n\r\n" % (REST_BYTES_MAX * 2)
    await stage.send(wire, head + b"x" * (REST_BYTES_MAX - 1))
    assert [it.reason for it in wire.responses] == ["MISSING_HEADER"]
    assert not wire.reads
    # Its sender has time to read why.
    await stage.passes(LINGER_S - 0.1)
    assert not wire.is_closing()

    await stage.passes(0.2)

    assert wire.is_closing()


@staged
async def test_large_bodies_hold_so_much_together(stage: Stage) -> None:
    most = LARGE_BYTES_MAX // 500_000
    held = [stage.connect() for _ in range(most + 1)]
    for wire in held:
        await stage.send(wire, stage.signed_head(b"content-length: 510000\r\n"))
        await stage.send(wire, b"x" * 500_000)

    assert [len(wire.responses) for wire in held] == [0] * most + [1]
    assert held[-1].responses[0].reason == "GATEWAY_OVERLOADED"
    held[0].close()
    await stage.passes(0)
    later = stage.connect()
    await stage.send(later, stage.signed_head(b"content-length: 510000\r\n") + b"x" * 500_000)
    assert not later.responses


@staged
async def test_a_new_connection_takes_the_place_of_a_silent_one(stage: Stage) -> None:
    stage.slots.limit = 10
    stage.log.lets.clear()
    served, busy = stage.connect(), stage.connect()
    stage.log.lets.set()
    await stage.send(served, stage.signed())
    stage.log.lets.clear()
    await stage.send(busy, stage.signed())
    silent = [stage.connect() for _ in range(6)]
    half = stage.connect()
    await stage.send(half, stage.signed_head())

    new = [stage.connect() for _ in range(8)]

    # First those on which nothing came whole, in their order.
    assert [it.is_closing() for it in silent] == [True] * 6
    assert half.is_closing()
    assert not served.is_closing()
    stage.log.lets.set()
    for wire in (served, busy, new[-1]):
        await stage.send(wire, stage.signed() if wire is not busy else b"")
        assert wire.responses[-1].status == 200
    assert stage.slots.count <= 10
    assert stage.outcomes.count("too_many_connections") == 7


@staged
async def test_where_all_wait_for_a_response_a_new_connection_is_refused(stage: Stage) -> None:
    stage.slots.limit = 3
    stage.log.lets.clear()
    busy = [stage.connect() for _ in range(3)]
    for wire in busy:
        await stage.send(wire, stage.signed())

    refused = stage.connect()
    await stage.passes(0)

    (response,) = refused.responses
    assert (response.status, response.reason) == (503, "TOO_MANY_CONNECTIONS")
    assert response.headers["retry-after"]
    stage.log.lets.set()
    await stage.passes(0)
    assert [it.responses[0].status for it in busy] == [200] * 3


@staged
async def test_large_bodies_that_are_held_back_keep_no_usual_webhook_out(stage: Stage) -> None:
    stage.buffers.limit = BODY_BYTES_MAX * 2
    held = [stage.connect() for _ in range(5)]
    for wire in held:
        await stage.send(wire, stage.signed_head(b"content-length: 500000\r\n"))
        await stage.send(wire, b"x" * 400_000)

    assert [len(wire.responses) for wire in held] == [0, 0, 1, 1, 1]
    assert held[-1].responses[0].status == 503
    assert held[-1].responses[0].reason == "GATEWAY_OVERLOADED"
    stage.buffers.take(stage.buffers.limit)  # and if there were nothing left at all
    usual = stage.connect()
    await stage.send(usual, stage.signed())
    assert usual.responses[0].status == 200
    for wire in held:
        wire.close()
    await stage.passes(0)
    assert stage.buffers.held == stage.buffers.limit
