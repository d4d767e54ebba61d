"""What a connection may have under way: counted with a clock that the test controls."""

import asyncio

import pytest
from grpc import StatusCode

from gateway.bytebudget import ByteBudget
from gateway.records.calls import CallEnded
from gateway.server.errors import GatewayError
from gateway.server.hooks import peers
from gateway.server.hooks.admission import Admission
from gateway.server.hooks.peers import Peer, Peers
from tests.harness.calls import PEER, call_of
from tests.harness.clock import ManualClock

MIB = 1024 * 1024


class Stage:
    def __init__(self, budget: int = 1024 * MIB) -> None:
        self.clock = ManualClock()
        self.budget = ByteBudget(budget)
        self.peers = Peers(self.budget, self.clock)
        self.floods: list[tuple[str, str]] = []
        self.peers.on_flood = lambda peer, kind: self.floods.append((peer, kind))

    def give_up(self, name: str, count: int, *, silent: bool = False) -> None:
        for _ in range(count):
            self.peers.ended(self.peers.admit(name), given_up=True, silent=silent)

    def wait_for(self, name: str, count: int) -> None:
        for _ in range(count):
            self.peers.ended(self.peers.admit(name), given_up=False)


def refusal(stage: Stage, name: str) -> GatewayError:
    with pytest.raises(GatewayError) as failure:
        stage.peers.admit(name)
    error = failure.value
    assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED")
    assert error.retry_after is not None
    return error


def test_a_connection_has_so_many_calls_and_others_have_theirs() -> None:
    stage = Stage()
    begun = [stage.peers.admit("a") for _ in range(peers.CALLS_PER_CONNECTION_MAX)]

    assert "on this connection" in str(refusal(stage, "a"))
    stage.peers.admit("b")
    stage.peers.ended(begun[0], given_up=False)
    stage.peers.admit("a")


def test_all_connections_together_have_so_many_calls() -> None:
    stage = Stage()
    for number in range(peers.CALLS_MAX):
        stage.peers.admit(str(number // 100))

    assert "calls are in progress" in str(refusal(stage, "new"))


def test_who_gives_up_call_after_call_is_named() -> None:
    stage = Stage()

    stage.give_up("a", peers.GIVEN_UP_MAX)
    assert stage.floods == []
    stage.give_up("a", 1)

    assert stage.floods == [("a", "CALLS_GIVEN_UP")]


def test_calls_without_a_message_are_found_out_sooner() -> None:
    stage = Stage()

    stage.give_up("a", peers.GIVEN_UP_MAX // 4, silent=True)

    assert stage.floods == [("a", "CALLS_GIVEN_UP")]


def test_who_waits_for_most_of_its_calls_may_give_up_many() -> None:
    stage = Stage()

    for _ in range(100):
        stage.give_up("a", peers.GIVEN_UP_MAX // 2)
        stage.wait_for("a", peers.GIVEN_UP_MAX // 2)

    assert stage.floods == []


def test_who_gives_up_few_at_a_time_may_do_so_for_ever() -> None:
    stage = Stage()

    for _ in range(100):
        stage.give_up("a", peers.GIVEN_UP_PER_S)
        stage.clock.advance(1)

    assert stage.floods == []


def test_who_gives_up_more_than_so_many_a_second_is_named() -> None:
    stage = Stage()
    stage.give_up("a", peers.GIVEN_UP_MAX)
    stage.clock.advance(1)

    stage.give_up("a", peers.GIVEN_UP_PER_S)
    assert stage.floods == []
    stage.give_up("a", 1)

    assert stage.floods == [("a", "CALLS_GIVEN_UP")]


@pytest.mark.parametrize(("seconds", "floods"), [(0.9, 1), (1.0, 0)])
def test_a_call_that_was_waited_for_a_while_is_not_given_up(seconds: float, floods: int) -> None:
    stage = Stage()
    admission = Admission(stage.peers)

    for _ in range(peers.GIVEN_UP_MAX + 1):
        call = call_of(b"")
        admission.on_start(call)
        admission.on_end(call, CallEnded("s/M", "CANCELLED", 0.0, seconds))

    assert stage.floods == [(PEER, "CALLS_GIVEN_UP")] * floods


def test_connections_that_are_quiet_are_forgotten() -> None:
    stage = Stage()
    stage.wait_for("quiet", 1)
    stage.give_up("busy", 300)
    open_call = stage.peers.admit("open")

    stage.peers.forget_idle()
    assert len(stage.peers) == 2
    stage.clock.advance(10)
    stage.peers.ended(open_call, given_up=False)
    stage.peers.forget_idle()

    assert len(stage.peers) == 0


def test_responses_that_nobody_reads_are_refused_and_small_ones_never() -> None:
    stage = Stage()
    peer = stage.peers.admit("a")
    taken = [stage.peers.respond(peer, 2 * MIB) for _ in range(16)]

    with pytest.raises(GatewayError, match="unread responses") as failure:
        stage.peers.respond(peer, 2 * MIB)
    assert failure.value.refusal == "RESPONSES_NOT_READ"
    assert stage.peers.respond(peer, 10_000) == 10_000  # the receipt of a command, say
    error = refusal(stage, "a")
    assert "read them" in error.message
    assert error.refusal == "RESPONSES_NOT_READ"
    stage.peers.taken(peer, taken[0])
    stage.peers.admit("a")


def test_all_responses_together_stay_within_the_budget() -> None:
    stage = Stage(8 * MIB)
    for name in "abcd":
        stage.peers.respond(stage.peers.admit(name), 2 * MIB)

    with pytest.raises(GatewayError) as failure:
        stage.peers.respond(stage.peers.admit("e"), 2 * MIB)
    assert failure.value.refusal == "BUFFERS_FULL"
    assert stage.budget.held == 8 * MIB


def test_streams_of_a_connection_that_does_not_read_wait_and_others_go_on() -> None:
    stage = Stage(4 * MIB)

    async def run() -> None:
        stalled, healthy = stage.peers.admit("stalled"), stage.peers.admit("healthy")
        held = 0
        waiting: asyncio.Task[int] | None = None
        while waiting is None:
            task = asyncio.create_task(stage.peers.stream(stalled, MIB))
            await asyncio.sleep(0)
            if task.done():
                held += task.result()
            else:
                waiting = task
        assert held == 4 * MIB
        # Others have room for one at a time, whatever waits for those that do not read.
        for _ in range(5):
            size = await stage.peers.stream(healthy, MIB)
            stage.peers.taken(healthy, size)
        assert not waiting.done()
        # Who has read nothing for so long is told of once, until it has read something.
        stage.clock.advance(peers.STALLED_S - 0.1)
        assert stage.peers.stalled() == []
        stage.clock.advance(0.2)
        assert stage.peers.stalled() == ["stalled"]
        stage.clock.advance(100)
        assert stage.peers.stalled() == []
        stage.peers.taken(stalled, MIB)
        assert await waiting == MIB
        waiting = asyncio.create_task(stage.peers.stream(stalled, MIB))
        await asyncio.sleep(0)
        stage.clock.advance(peers.STALLED_S)
        assert stage.peers.stalled() == ["stalled"]
        stage.peers.taken(stalled, MIB)
        await waiting
        stage.clock.advance(100)
        assert stage.peers.stalled() == []

    asyncio.run(run())


def test_a_peer_is_what_it_holds(loop: object) -> None:
    stage = Stage()
    peer: Peer = stage.peers.admit("a")
    peer.requests += 100

    assert (stage.peers.explained("a"), stage.peers.explained("a")) == (100, 0)
    assert stage.peers.explained("nobody") == 0
