"""What is written on a connection leaves it in as few pieces as it can."""

import asyncio

from gateway.server.http.outgoing import OutgoingTransport
from tests.http.stage import Stage, Wire, staged


def outgoing_on(stage: Stage) -> tuple[OutgoingTransport, Wire]:
    wire = stage.connect()
    return OutgoingTransport(wire, stage.loop, lambda: None), wire


@staged
async def test_a_response_is_sent_in_one_piece(stage: Stage) -> None:
    wire = stage.connect()

    await stage.send(wire, stage.signed() + stage.signed())

    assert [it.status for it in wire.responses] == [200, 200]
    assert len(wire.pieces) == 2
    assert b"".join(wire.pieces) == wire.received


@staged
async def test_what_nothing_follows_is_sent_at_the_end_of_the_turn(stage: Stage) -> None:
    outgoing, wire = outgoing_on(stage)

    for times in (1, 2):
        outgoing.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0)
        assert wire.received == b"HTTP/1.1 100 Continue\r\n\r\n" * times


@staged
async def test_what_was_written_is_sent_before_a_close_and_not_after_an_abort(stage: Stage) -> None:
    closed, read = outgoing_on(stage)
    aborted, cut = outgoing_on(stage)
    closed.write(b"a refusal")
    aborted.write(b"a refusal")

    closed.close()
    aborted.abort()
    closed.write(b"too late")
    await asyncio.sleep(0)

    assert read.received == b"a refusal"
    assert cut.received == b""


@staged
async def test_nothing_is_sent_to_a_peer_that_has_gone(stage: Stage) -> None:
    outgoing, wire = outgoing_on(stage)
    outgoing.write(b"a head")

    outgoing.lost()
    await asyncio.sleep(0)

    assert wire.received == b""
