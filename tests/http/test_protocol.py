"""Whatever bytes come, each request is counted and gets one response, or a connection's end."""

import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.refusals import Subject
from gateway.server.http.refusals import IDLE_S
from tests.harness.webhooks import webhook
from tests.harness.wire import chunked, parsed, request
from tests.http.stage import HEAD, Stage, staged
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
async def test_nonsense_after_a_request_is_not_taken_for_its_response(stage: Stage) -> None:
    stage.log.lets.clear()
    wire = stage.connect()
    await stage.send(wire, stage.signed() + b"nonsense\r\n\r\n")

    assert wire.is_closing()
    assert wire.responses == []
    stage.log.lets.set()
    await stage.passes(0)
    assert stage.outcomes == ["bad_request", "stored"]


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
        refused = stage.received[0].refused
        assert refused is not None
        assert (refused.subject, refused.kind) == (Subject.WEBHOOK, "SHUTTING_DOWN")
        assert refused.is_shortage

    with caplog.at_level(logging.INFO):
        run_stepped(shut_down)
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
