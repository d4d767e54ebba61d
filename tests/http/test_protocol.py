"""A connection's time: half-sent requests end, and what is still being answered does not.

The loop's clock stands still until a test moves it.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.bytebudget import ByteBudget
from gateway.events.entry import Appended, NewEvent
from gateway.http import refusals
from gateway.http.outgoing import TAKEN_S
from gateway.http.places import Places
from gateway.http.protocol import RequestProtocol
from gateway.http.refusals import (
    BODY_PIECES_MAX,
    BODY_S,
    BODY_WIRE_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEAD_S,
    IDLE_S,
    LINGER_S,
    PIPELINED_MAX,
    REST_BYTES_MAX,
    Refusal,
)
from gateway.ingest.webhooks.body import BODY_BYTES_MAX, LARGE_BYTES_MAX
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.ingest.webhooks.receiver import _STATUS_OF_REASON, Received, WebhookReceiver
from gateway.ingest.webhooks.signature import SignatureVerifier
from tests.harness.clock import ManualClock
from tests.harness.webhooks import Signer, webhook
from tests.harness.wire import WireResponse, chunked, parsed, request
from tests.oracle.stepped import SteppedLoop, run_stepped

PIECES = [
    b"content-length: 2\r\n\r\n",
    b"{}",
    b"transfer-encoding: chunked\r\n\r\n",
    b"2\r\n{}\r\n",
    b"0\r\n\r\n",
    b"connection: upgrade\r\nupgrade: h2c\r\n",
    b"expect: 100-continue\r\n",
]
HEAD = b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""
        self.protocol: asyncio.Protocol | None = None
        # How many bytes more the other end takes.
        self.takes = math.inf
        self.waiting = b""
        self.reads = True
        self._closing = False

    def write(self, data: Any) -> None:
        self.waiting += data
        self.take(0)

    def take(self, more: float) -> None:
        self.takes += more
        taken = self.waiting[: int(min(self.takes, len(self.waiting)))]
        self.takes -= len(taken)
        self.received += taken
        self.waiting = self.waiting[len(taken) :]

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def abort(self) -> None:
        self.waiting = b""
        self._closing = False
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self.waiting:
                return  # for that to be taken, or for the abort
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    @property
    def responses(self) -> list[WireResponse]:
        return parsed(self.received)[0]


class Log:
    """Stores what it is given when it is let."""

    def __init__(self) -> None:
        self.lets = asyncio.Event()
        self.lets.set()

    async def append(self, event: NewEvent) -> Appended:
        await self.lets.wait()
        return Appended(1, False)


class Stage:
    def __init__(self, loop: SteppedLoop) -> None:
        self.loop = loop
        self.log = Log()
        self.signer = Signer()
        self.received: list[Received] = []
        self.buffers = ByteBudget()
        clock = ManualClock()
        self.now = clock.now
        self.receiver = WebhookReceiver(
            SignatureVerifier([self.signer.public_key], clock),
            WebhookDecoder(),
            self.log,  # type: ignore[arg-type]
            clock,
            self.received.append,
            self.buffers,
        )
        self._config = uvicorn.Config(self.receiver, log_config=None, timeout_keep_alive=IDLE_S)
        self.state = ServerState()
        self.places = Places(limit=100)

    def connect(self) -> Wire:
        wire = Wire()
        protocol = RequestProtocol(
            self._config,
            self.state,
            {},
            self.loop,
            observe=self.receiver.connection_ended,
            places=self.places,
        )
        wire.protocol = protocol
        protocol.connection_made(wire)
        return wire

    async def send(self, wire: Wire, data: bytes) -> None:
        assert wire.protocol is not None
        wire.protocol.data_received(data)
        await self.passes(0)

    async def close_their_side(self, wire: Wire) -> None:
        assert wire.protocol is not None
        if not wire.protocol.eof_received():
            wire.close()
        await self.passes(0)

    async def passes(self, seconds: float) -> None:
        self.loop.advance(seconds)
        for _ in range(20):
            await asyncio.sleep(0)

    def signed(self) -> bytes:
        body = webhook()
        return request(body, self.signer.telnyx(body, self.now).items())

    def signed_head(self, more: bytes = b"transfer-encoding: chunked\r\n") -> bytes:
        """The head of a webhook that may be refused for its body only."""
        signed = self.signer.telnyx(b"", self.now)
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in signed.items())
        return HEAD + lines + more + b"\r\n"

    @property
    def outcomes(self) -> list[str]:
        return [it.result for it in self.received]


def staged(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        run_stepped(lambda loop: test(Stage(loop)))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@staged
async def test_a_head_that_does_not_end_is_given_up(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, HEAD[:40])
    await stage.passes(HEAD_S - 1)
    await stage.send(wire, HEAD[40:])  # a byte now and then does not help
    assert not wire.is_closing()

    await stage.passes(2)

    (response,) = wire.responses
    assert (response.status, response.reason) == (408, "TIMED_OUT")
    assert response.headers["connection"] == "close"
    assert wire.is_closing()
    assert stage.outcomes == ["timed_out"]


@staged
async def test_a_body_that_does_not_end_is_given_up(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, stage.signed()[:-1])
    await stage.passes(BODY_S - 1)
    assert not wire.responses

    await stage.passes(2)

    (response,) = wire.responses
    assert (response.status, response.reason) == (408, "TIMED_OUT")
    assert wire.is_closing()
    assert stage.outcomes == ["timed_out"]


@staged
async def test_each_request_has_its_own_time(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, stage.signed())
    await stage.passes(HEAD_S * 3)
    await stage.send(wire, HEAD)
    await stage.passes(HEAD_S - 1)
    assert not wire.is_closing()

    await stage.passes(2)

    assert [it.status for it in wire.responses] == [200, 408]
    assert stage.outcomes == ["stored", "timed_out"]


@staged
async def test_a_connection_on_which_nothing_comes_is_closed_in_silence(stage: Stage) -> None:
    fresh, used, blank = stage.connect(), stage.connect(), stage.connect()
    for wire in (used, blank):
        await stage.send(wire, stage.signed())
    await stage.passes(HEAD_S + 1)
    assert fresh.is_closing()
    # Load balancers keep theirs for a minute.
    await stage.passes(60 - HEAD_S)
    assert not used.is_closing()
    await stage.send(blank, b"\r\n\r\n")

    await stage.passes(IDLE_S)

    assert used.is_closing()
    assert blank.is_closing()
    assert fresh.received == b""
    assert [len(it.responses) for it in (used, blank)] == [1, 1]
    assert stage.outcomes == ["stored", "stored"]


@staged
async def test_a_request_waits_for_its_response_as_long_as_that_takes(stage: Stage) -> None:
    stage.log.lets.clear()
    wire = stage.connect()
    await stage.send(wire, stage.signed() + stage.signed() + HEAD)
    await stage.passes(HEAD_S * 10)
    assert not wire.is_closing()

    stage.log.lets.set()
    await stage.passes(0)
    assert [it.status for it in wire.responses] == [200, 200]

    # Now it is the sender who is late.
    await stage.passes(HEAD_S + 1)
    assert [it.status for it in wire.responses] == [200, 200, 408]
    assert stage.outcomes == ["stored", "stored", "timed_out"]


@staged
async def test_the_rest_of_a_body_that_has_been_answered_is_not_waited_for(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, HEAD.replace(b"POST", b"PUT") + b"content-length: 9\r\n\r\n1")
    assert [it.status for it in wire.responses] == [405]
    await stage.passes(BODY_S - 1)
    await stage.send(wire, b"2")

    await stage.passes(2)

    assert wire.is_closing()


@staged
async def test_nonsense_in_a_body_is_answered_and_counted_once(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, stage.signed_head() + b"nonsense\r\n")

    assert [it.reason for it in wire.responses] == ["BAD_REQUEST"]
    assert wire.is_closing()
    assert stage.outcomes == ["bad_request"]


@staged
async def test_nonsense_after_an_early_answer_gets_no_other(stage: Stage) -> None:
    wire = stage.connect()
    head = HEAD.replace(b"POST", b"PUT") + b"transfer-encoding: chunked\r\n\r\n"
    await stage.send(wire, head)
    await stage.send(wire, b"nonsense\r\n")

    assert [it.status for it in wire.responses] == [405]
    assert wire.is_closing()
    assert stage.outcomes == ["method_not_allowed"]


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


@staged
async def test_nonsense_after_a_request_is_not_taken_for_its_answer(stage: Stage) -> None:
    stage.log.lets.clear()
    wire = stage.connect()
    await stage.send(wire, stage.signed() + b"nonsense\r\n\r\n")

    assert wire.is_closing()
    assert wire.responses == []
    stage.log.lets.set()
    await stage.passes(0)
    assert stage.outcomes == ["bad_request", "stored"]


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
        assert not stage.places.count

    run_stepped(lambda loop: run(Stage(loop)))


@pytest.mark.parametrize(
    "refusal", [it for it in vars(refusals).values() if isinstance(it, Refusal)], ids=str
)
def test_the_receiver_knows_each_reason_for_which_the_server_ends_a_body(refusal: Refusal) -> None:
    assert _STATUS_OF_REASON[refusal.reason] == refusal.status


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
    stage.places.limit = 10
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
    assert stage.places.count <= 10
    assert stage.outcomes.count("too_many_connections") == 7


@staged
async def test_where_all_wait_for_a_response_a_new_connection_is_refused(stage: Stage) -> None:
    stage.places.limit = 3
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


@staged
async def test_nothing_is_left_of_a_connection_that_is_gone(stage: Stage) -> None:
    half_head, half_body = stage.connect(), stage.connect()
    await stage.send(half_head, HEAD)
    await stage.send(half_body, stage.signed()[:-1])
    for wire in (half_head, half_body):
        wire.close()
    await stage.passes(0)

    await stage.passes(BODY_S * 2)

    assert half_head.received == half_body.received == b""
    assert stage.outcomes == ["disconnected"]
    assert not stage.state.connections
    assert not stage.state.tasks
    assert not stage.loop.troubles


@staged
async def test_responses_that_are_not_taken_are_given_up(stage: Stage) -> None:
    wires = [stage.connect(), stage.connect(), stage.connect(), stage.connect()]
    for wire in wires:
        wire.takes = 100
        await stage.send(wire, stage.signed() * 5)
    _, closed, half_closed, nonsense = wires
    closed.close()
    await stage.close_their_side(half_closed)
    await stage.send(nonsense, b"nonsense\r\n\r\n")

    await stage.passes(TAKEN_S)

    # Gone for good, although nothing that was to be sent before the close has been.
    assert not stage.state.connections
    assert stage.outcomes.count("not_taken") == len(wires)
    assert not stage.loop.troubles


@staged
async def test_responses_may_be_taken_slowly(stage: Stage) -> None:
    wire = stage.connect()
    wire.takes = 1
    await stage.send(wire, stage.signed() * 5)
    while wire.waiting:
        wire.take(25)
        await stage.passes(TAKEN_S)

    assert [it.status for it in wire.responses] == [200] * 5
    assert stage.outcomes == ["stored"] * 5


@staged
async def test_who_closes_its_side_after_whole_requests_gets_every_response(stage: Stage) -> None:
    stage.log.lets.clear()
    rests = [
        b"",
        HEAD[:20],
        HEAD,
        stage.signed()[:-1],
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
    ]
    wires = [stage.connect() for _ in rests]
    for wire, rest in zip(wires, rests, strict=True):
        await stage.send(wire, stage.signed() + stage.signed() + rest)
        # asyncio reports the end once more when reading is resumed.
        for _ in range(2):
            await stage.close_their_side(wire)
    # However long it takes: what is not there yet is not waited for.
    await stage.passes(IDLE_S * 2)
    assert not any(wire.is_closing() for wire in wires)

    stage.log.lets.set()
    await stage.passes(0)

    assert [[it.status for it in wire.responses] for wire in wires] == [[200, 200]] * len(wires)
    assert all(wire.is_closing() for wire in wires)
    assert stage.outcomes.count("stored") == 2 * len(wires)
    assert stage.outcomes.count("disconnected") == 2
    assert not stage.state.tasks


@staged
async def test_who_closes_its_side_amid_a_request_has_gone(stage: Stage) -> None:
    rests = [b"", HEAD[:20], HEAD, stage.signed()[:-1]]
    wires = [stage.connect() for _ in rests]
    used = stage.connect()
    await stage.send(used, stage.signed())
    for wire, rest in zip(wires, rests, strict=True):
        if rest:
            await stage.send(wire, rest)
        await stage.close_their_side(wire)
    await stage.close_their_side(used)

    assert all(wire.is_closing() and wire.received == b"" for wire in wires)
    assert used.is_closing()
    assert stage.outcomes == ["stored", "disconnected"]
    assert not stage.state.connections


def test_a_shutdown_that_waits_no_longer_answers_what_is_in_flight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def shut_down(loop: SteppedLoop) -> None:
        stage = Stage(loop)
        stage.log.lets.clear()
        wire = stage.connect()
        await stage.send(wire, stage.signed())

        for task in stage.state.tasks:
            task.cancel()
        await stage.passes(0)

        (response,) = wire.responses
        assert (response.status, response.reason) == (503, "SHUTTING_DOWN")
        assert response.headers["retry-after"] == "5"
        assert stage.outcomes == ["shutting_down"]

    with caplog.at_level(logging.INFO):
        run_stepped(shut_down)
    assert "refused a webhook: SHUTTING_DOWN" in caplog.text
    assert "Traceback" not in caplog.text


OFFERS = [
    [],
    [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMA")],
    [("upgrade", "websocket"), ("connection", "keep-alive, upgrade")],
    [("Connection", "close, Upgrade"), ("Upgrade", "h2c"), ("uPGRADE", "TLS/1.0")],
]


@given(st.data(), st.sampled_from(OFFERS), st.booleans())
def test_a_webhook_is_taken_in_whatever_pieces_it_comes(
    data: st.DataObject, offer: list[tuple[str, str]], in_chunks: bool
) -> None:
    async def send_in_pieces(loop: SteppedLoop) -> None:
        stage = Stage(loop)
        body = webhook(id_="e")
        fields = list(stage.signer.telnyx(body, stage.now).items()) + offer
        lines = data.draw(st.permutations(fields))
        if in_chunks:
            whole = request(b"", [*lines, ("transfer-encoding", "chunked")], length=False)
            whole += chunked(body[:50], body[50:], extension=";a=b", trailers="x: y\r\n")
        else:
            whole = request(body, lines)
        whole += data.draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
        wire = stage.connect()
        for begin, end in pairwise([0, *cuts, len(whole)]):
            if not wire.is_closing():  # asked to close, it reads no blank line that follows
                await stage.send(wire, whole[begin:end])

        assert [it.status for it in wire.responses] == [200]
        assert stage.outcomes == ["stored"]

    run_stepped(send_in_pieces)


@given(
    st.lists(st.sampled_from([HEAD, b"\r\n", b"GET / HTTP/1.1\r\n", *PIECES]) | st.binary()),
    st.booleans(),
)
def test_whatever_bytes_come_each_request_is_counted_and_each_response_is_one(
    pieces: list[bytes], half_closes: bool
) -> None:
    async def send(loop: SteppedLoop) -> None:
        stage = Stage(loop)
        wire = stage.connect()
        for piece in pieces:
            if not wire.is_closing():
                await stage.send(wire, piece)
        if half_closes and not wire.is_closing():
            await stage.close_their_side(wire)
        # Whatever is still open ends by itself.
        for _ in range(3):
            await stage.passes(IDLE_S)

        responses, rest = parsed(wire.received)
        assert rest == b""
        assert all(it.status < 500 for it in responses)
        assert len(responses) <= len(stage.outcomes)
        assert wire.is_closing()
        assert not stage.state.tasks
        assert not loop.troubles

    run_stepped(send)
