"""Searches that one connection sends many of: those of others begin first, and all end."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from gateway.address import TcpAddress
from gateway.bytebudget import ByteBudget
from gateway.records.observer import ignore
from gateway.schema.services import EVENT_SERVICE
from gateway.server.call import Call
from gateway.server.grpc import heldback
from gateway.server.grpc.heldback import (
    AT_ONCE,
    BEGIN_WHEN_QUIET,
    TICKS_FOR_ONE,
    HeldBack,
)
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.server import GrpcServer
from gateway.server.grpc.shell import Handler, MethodHandler, Shell
from gateway.server.hooks import peers
from gateway.server.hooks.peers import GIVEN_UP_MAX, Peers
from gateway.server.services.event_service import event_methods
from tests.harness.held_calls import A, B, Calls, Ticks, in_a_loop, named, turn
from tests.harness.loop import LoopThread

HELD = 20

MANY = named("a", AT_ONCE + HELD)


@in_a_loop
async def test_a_call_of_another_connection_begins_before_those_held_back() -> None:
    calls = Calls()
    tasks = await calls.come(A, *MANY) + await calls.come(B, "b")

    assert calls.begun == [*MANY[:AT_ONCE], "b"]
    assert len(calls.held) == HELD

    await calls.end_all()
    assert [await it for it in tasks] == [*MANY, "b"]
    assert calls.begun == [*MANY[:AT_ONCE], "b", *MANY[AT_ONCE:]]
    assert not calls.held
    assert calls.gave_up == []


@in_a_loop
async def test_those_held_back_begin_now_and_then_while_calls_come_and_then_some_at_a_time() -> (
    None
):
    calls = Calls()
    await calls.come(A, *MANY)
    left = MANY[AT_ONCE:]

    begun = []
    for number in range(TICKS_FOR_ONE):
        begun.append(await calls.tick())
        await calls.come(f"ipv4:192.0.2.2:{number}", f"b{number}")
    assert begun == [[]] * (TICKS_FOR_ONE - 1) + [left[:1]]
    await calls.tick()
    assert await calls.tick() == left[1 : 1 + BEGIN_WHEN_QUIET]

    while calls.ticks:
        await calls.tick()
    assert [it for it in calls.begun if it in MANY] == MANY
    await calls.end_all()


@in_a_loop
async def test_connections_take_turns() -> None:
    calls = Calls()
    others = named("b", AT_ONCE + HELD)
    await calls.come(A, *MANY)
    await calls.come(B, *others)
    await calls.tick()

    of_both = await calls.tick()

    assert [it[0] for it in of_both] == ["a", "b"] * (BEGIN_WHEN_QUIET // 2)
    await calls.end_all()


@in_a_loop
async def test_the_next_one_begins_when_one_ends() -> None:
    calls = Calls()
    await calls.come(A, *MANY)

    await calls.end("a3")

    assert calls.begun == MANY[: AT_ONCE + 1]
    await calls.end_all()
    assert calls.begun == MANY


@in_a_loop
async def test_none_begins_when_one_ends_while_more_than_may_be_at_once_are_in_progress() -> None:
    calls = Calls()
    await calls.come(A, *MANY)
    await calls.tick()
    begun = AT_ONCE + len(await calls.tick())

    await calls.end("a3")

    assert calls.begun == MANY[:begun]
    await calls.end_all()


@pytest.mark.parametrize(("left_s", "told"), [(None, [A]), (3.0, [A]), (0.0, [])])
@in_a_loop
async def test_a_call_that_ends_while_it_is_held_back_never_begins(
    left_s: float | None, told: list[str]
) -> None:
    calls = Calls()
    await calls.come(A, *MANY)
    (gone,) = await calls.come(A, "gone", left_s=left_s)

    gone.cancel()
    await turn()

    assert gone.cancelled()
    assert len(calls.held) == HELD
    # Its deadline is nobody's fault; otherwise its client has given it up.
    assert calls.gave_up == told
    await calls.end_all()
    assert calls.begun == MANY


@in_a_loop
async def test_a_call_that_ends_when_its_turn_comes_leaves_its_place_to_the_next() -> None:
    calls = Calls()
    tasks = await calls.come(A, *MANY)
    await calls.tick()

    calls.ticks.pass_one()
    tasks[AT_ONCE].cancel()
    await turn()
    of_tick = MANY[AT_ONCE + 1 : AT_ONCE + BEGIN_WHEN_QUIET]
    assert calls.begun == [*MANY[:AT_ONCE], *of_tick]
    for name in of_tick:
        await calls.end(name)
    assert calls.begun == [*MANY[:AT_ONCE], *of_tick]
    await calls.end(MANY[0])

    assert calls.begun[-1] == MANY[AT_ONCE + BEGIN_WHEN_QUIET]
    await calls.end_all()


@in_a_loop
async def test_only_so_many_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldback, "HELD_MAX", HELD)
    calls = Calls()
    await calls.come(A, *MANY)

    await calls.come(A, "more")

    assert len(calls.held) == HELD
    assert calls.begun == [*MANY[:AT_ONCE], "more"]
    await calls.end_all()


@in_a_loop
async def test_a_shutdown_holds_none_back() -> None:
    calls = Calls()
    await calls.come(A, *MANY)
    calls.is_hurried = True

    await calls.come(A, "more")
    assert calls.begun == [*MANY[:AT_ONCE], "more"]
    assert await calls.tick() == MANY[AT_ONCE:]
    await calls.end_all()


@in_a_loop
async def test_on_a_socket_file_where_all_have_one_name_none_is_held_back() -> None:
    calls = Calls()
    await calls.come("unix:", *MANY)
    assert calls.begun == MANY
    await calls.end_all()


def test_calls_given_up_while_they_are_held_back_are_a_flood() -> None:
    told: list[tuple[str, str]] = []
    admitted = Peers(ByteBudget())
    admitted.on_flood = lambda peer, kind: told.append((peer, kind))

    for _ in range(GIVEN_UP_MAX):
        admitted.gave_up(A)
    assert told == []
    for _ in range(peers.GIVEN_UP_PER_S):  # some have been forgiven since
        admitted.gave_up(A)
    assert told == [(A, "CALLS_GIVEN_UP")]


class Registered(Shell):
    """Notes which methods are searches."""

    def __init__(self) -> None:
        super().__init__(())
        self.searches: set[str] = set()

    def unary(
        self,
        method: str,
        read: Callable[[bytes], Any],
        handler: Handler,
        write: Callable[[Any], bytes] = bytes,
        stands_for: int = 1,
        is_search: bool = False,
    ) -> MethodHandler:
        if is_search:
            self.searches.add(method.rpartition("/")[2])
        return super().unary(method, read, handler, write, stands_for, is_search)


def test_what_reads_the_log_for_one_response_is_a_search_and_no_stream_is() -> None:
    shell = Registered()
    words = ("subscribe", "list_events", "get_event", "get_feed_info", "watch_conference")
    event_methods(EVENT_SERVICE, (SimpleNamespace(**dict.fromkeys(words, ignore)),), shell)
    assert shell.searches == {"ListEvents", "GetEvent", "GetFeedInfo"}


class Server:
    """Serves one method; calls whose request is "stay" are in progress until they may end."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self.begun = 0
        self.gave_up: list[str] = []
        self.ticks = Ticks()
        self._may_end = loop.call(asyncio.Event)

        async def respond(call: Call[bytes]) -> bytes:
            self.begun += 1
            if call.message == b"stay":
                await self._may_end.wait()
            return b""

        def build() -> GrpcServer:
            self.held = HeldBack(self.gave_up.append, lambda: False, self.ticks.later)
            shell = Shell((), held_back=self.held)
            method = shell.unary("/own.S/M", bytes, respond, is_search=True)
            rules = Rules.of(ignore, ByteBudget())
            return GrpcServer({"own.S": {"M": method}}, [], 1_000, 1_000, rules, 10)

        self._server = loop.call(build)
        self._address = str(loop.run(self._server.start(TcpAddress("127.0.0.1", 0))))
        self._channels: list[grpc.Channel] = []

    def client(self) -> Any:
        own = [("grpc.use_local_subchannel_pool", 1)]
        self._channels.append(grpc.insecure_channel(self._address, own))
        return self._channels[-1].unary_unary("/own.S/M")

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        ends_at = monotonic() + 20
        while not self._loop.call(is_so):
            assert monotonic() < ends_at

    def end_all(self) -> None:
        self._loop.call(self._may_end.set)
        while self._loop.call(lambda: bool(self.ticks)):
            self._loop.call(self.ticks.pass_one)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._loop.run(self._server.stop())


@pytest.fixture
def server(loop: LoopThread) -> Iterator[Server]:
    server = Server(loop)
    yield server
    server.close()


def test_over_the_network_others_are_answered_and_those_held_back_end_by_themselves(
    server: Server,
) -> None:
    flooding, other = server.client(), server.client()
    stay = partial(flooding.future, b"stay")
    many = [stay() for _ in range(AT_ONCE)]
    server.wait_for(lambda: server.begun == AT_ONCE)
    late, given_up, *held = [stay(timeout=1), *(stay() for _ in range(HELD))]
    server.wait_for(lambda: len(server.held) == HELD + 1)

    assert other(b"go", timeout=20) == b""
    assert server.begun == AT_ONCE + 1

    given_up.cancel()
    with pytest.raises(grpc.RpcError):
        late.result(20)
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    server.wait_for(lambda: len(server.held) == HELD - 1)

    server.end_all()
    assert [it.result(20) for it in many + held] == [b""] * (AT_ONCE + HELD - 1)
    assert server.begun == AT_ONCE + 1 + HELD - 1
