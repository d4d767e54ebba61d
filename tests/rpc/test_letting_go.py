"""A shutdown lets streams go a few at a time, those of one connection together."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.hooks.in_flight import (
    LET_GO_AT_A_TIME,
    LET_GO_EVERY_S,
    InFlight,
    leaves_within_s,
)
from tests.harness.calls import HeldWire


class Shutdown:
    """Calls in flight, and the moments at which some are let go."""

    def __init__(self) -> None:
        self.in_flight = InFlight(self._later)
        # Who has been let go, by the connection.
        self.gone: list[str] = []
        self._next: list[Callable[[], None]] = []

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        assert seconds == LET_GO_EVERY_S
        self._next.append(callback)

    def begin(self, peer: str, *, is_stream: bool = True) -> Call[Any]:
        call: Call[Any] = Call("s/M", HeldWire(peer=peer), began=0.0, is_stream=is_stream)
        self.in_flight.on_start(call)
        call.when_let_go(lambda: self.gone.append(peer))
        return call

    def refuses(self, peer: str) -> bool:
        try:
            self.begin(peer, is_stream=False)
        except GatewayError as error:
            return error.code is grpc.StatusCode.UNAVAILABLE
        return False

    def pass_on(self) -> list[str]:
        """Let the time pass until the next are let go; returns who."""
        before = len(self.gone)
        self._next.pop()()
        return self.gone[before:]

    @property
    def has_come_to_its_end(self) -> bool:
        return not self._next


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown()


def test_a_few_streams_go_at_once_and_the_others_after_them(shutdown: Shutdown) -> None:
    peers = [f"peer {number}" for number in range(2 * LET_GO_AT_A_TIME + 1)]
    for peer in peers:
        shutdown.begin(peer)

    shutdown.in_flight.drain(20)

    assert shutdown.gone == peers[:LET_GO_AT_A_TIME]
    assert shutdown.pass_on() == peers[LET_GO_AT_A_TIME : 2 * LET_GO_AT_A_TIME]
    assert shutdown.pass_on() == peers[2 * LET_GO_AT_A_TIME :]
    assert shutdown.has_come_to_its_end


def test_streams_of_one_connection_go_together(shutdown: Shutdown) -> None:
    shutdown.begin("large")
    shutdown.begin("small")
    for _ in range(LET_GO_AT_A_TIME + 2):
        shutdown.begin("large")

    shutdown.in_flight.drain(20)

    assert shutdown.gone == ["large"] * (LET_GO_AT_A_TIME + 3)
    assert shutdown.pass_on() == ["small"]


def test_all_are_let_go_within_the_time(shutdown: Shutdown) -> None:
    for number in range(1_000):
        shutdown.begin(f"peer {number}")

    shutdown.in_flight.drain(10 * LET_GO_EVERY_S)

    times = 1
    while not shutdown.has_come_to_its_end:
        assert len(shutdown.pass_on()) == 100
        times += 1
    assert times == 10


@pytest.mark.parametrize(
    ("drain_timeout_s", "call_timeout_s", "within_s"),
    [(20, 10, 10), (20, 15, 5), (20, 30, 0), (5, 1, 2.5)],
)
def test_what_comes_last_has_its_time_before_it_is_cut_off(
    drain_timeout_s: float, call_timeout_s: float, within_s: float
) -> None:
    assert leaves_within_s(drain_timeout_s, call_timeout_s) == within_s


def test_a_cut_off_has_nobody_stay(shutdown: Shutdown) -> None:
    for number in range(LET_GO_AT_A_TIME + 1):
        shutdown.begin(f"peer {number}")
    shutdown.in_flight.drain(20)
    assert not shutdown.in_flight.refusing

    asyncio.run(shutdown.in_flight.cut_off(0))

    assert shutdown.in_flight.refusing
    assert shutdown.refuses(f"peer {LET_GO_AT_A_TIME}")


def test_without_time_all_are_let_go_at_once(shutdown: Shutdown) -> None:
    for number in range(100):
        shutdown.begin(f"peer {number}")

    shutdown.in_flight.drain(0)

    assert len(shutdown.gone) == 100
    assert shutdown.has_come_to_its_end


def test_a_connection_is_served_until_its_streams_are_let_go(shutdown: Shutdown) -> None:
    for number in range(LET_GO_AT_A_TIME):
        shutdown.begin(f"first {number}")
    shutdown.begin("later")

    shutdown.in_flight.drain(20)

    assert shutdown.refuses("first 0")
    assert shutdown.refuses("a stranger")
    assert not shutdown.refuses("later")
    shutdown.begin("later")
    # The stream that was there, the one opened meanwhile, and the call, which ends anyway.
    assert shutdown.pass_on() == ["later"] * 3
    assert shutdown.refuses("later")


def test_a_stream_that_was_just_being_opened_is_let_go_once_it_is_open(shutdown: Shutdown) -> None:
    wire = HeldWire(peer="slow")
    call: Call[Any] = Call("s/M", wire, began=0.0, is_stream=True)
    shutdown.in_flight.on_start(call)

    shutdown.in_flight.drain(20)
    call.when_let_go(lambda: shutdown.gone.append("slow"))

    assert shutdown.gone == ["slow"]


def test_calls_alone_are_no_reason_to_stay(shutdown: Shutdown) -> None:
    shutdown.begin("caller", is_stream=False)

    shutdown.in_flight.drain(20)

    assert shutdown.refuses("caller")
    assert shutdown.has_come_to_its_end
