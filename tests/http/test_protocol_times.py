"""A connection's time: half-sent requests end, and what is still being answered does not."""

from gateway.server.http.outgoing import UNREAD_S
from gateway.server.http.refusals import BODY_S, HEAD_S, IDLE_S
from tests.http.stage import HEAD, Stage, staged


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
async def test_a_connection_whose_responses_are_not_read_is_closed(stage: Stage) -> None:
    wires = [stage.connect(), stage.connect(), stage.connect(), stage.connect()]
    for wire in wires:
        wire.takes = 100
        await stage.send(wire, stage.signed() * 5)
    _, closed, half_closed, nonsense = wires
    closed.close()
    await stage.close_their_side(half_closed)
    await stage.send(nonsense, b"nonsense\r\n\r\n")

    await stage.passes(UNREAD_S)

    # Gone for good, although nothing that was to be sent before the close has been.
    assert not stage.state.connections
    assert stage.outcomes.count("unread") == len(wires)
    assert not stage.loop.troubles


@staged
async def test_responses_may_be_taken_slowly(stage: Stage) -> None:
    wire = stage.connect()
    wire.takes = 1
    await stage.send(wire, stage.signed() * 5)
    while wire.waiting:
        wire.take(25)
        await stage.passes(UNREAD_S)

    assert [it.status for it in wire.responses] == [200] * 5
    assert stage.outcomes == ["stored"] * 5
