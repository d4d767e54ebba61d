"""What hooks hear of calls, in which order; and how a call's responses go out."""

import asyncio
import logging
from typing import Any

import grpc
import pytest

from gateway.bytebudget import ByteBudget
from gateway.callers.caller import Caller, Role
from gateway.records.calls import CallEnded
from gateway.server.call import SMALL_RESPONSE_BYTES, Call, Unbounded
from gateway.server.errors import GatewayError
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import Handler, Shell
from gateway.server.hooks.hook import Hook, Observed
from tests.harness.calls import HeldWire, call_of
from tests.harness.clock import ManualClock

# What no caller must see.
SECRET = "the text of an exception that nobody foresaw"

REFUSAL = GatewayError(grpc.StatusCode.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED", "no room")


class Noting(Hook):
    """Notes what it hears, and refuses calls if it is told to."""

    def __init__(self, name: str, heard: list[str], *, refuses: bool = False) -> None:
        self._name = name
        self._heard = heard
        self._refuses = refuses

    def on_start(self, call: Call[Any]) -> None:
        self._heard.append(f"{self._name} start")
        if self._refuses:
            raise REFUSAL

    def on_message(self, call: Call[Any], size: int) -> None:
        self._heard.append(f"{self._name} message {size}")

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        self._heard.append(f"{self._name} end {end.status}")


class Quiet(Hook):
    """Does nothing at any moment."""


class Broken(Hook):
    """Fails at the moments it is told to."""

    def __init__(self, *moments: str) -> None:
        self._moments = moments

    def on_start(self, call: Call[Any]) -> None:
        self._fail("start")

    def on_message(self, call: Call[Any], size: int) -> None:
        self._fail("message")

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        self._fail("end")

    def _fail(self, moment: str) -> None:
        if moment in self._moments:
            raise RuntimeError(SECRET)


class Context(HeldWire):
    """gRPC's context of a call whose message has come."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted: tuple[Any, ...] = ()
        self.trailing: tuple[Any, ...] = ()

    def set_trailing_metadata(self, metadata: tuple[Any, ...]) -> None:
        self.trailing = metadata

    async def read(self) -> bytes:
        return b"four"

    def done(self) -> bool:
        return False

    async def abort(self, *told: Any) -> None:
        self.aborted = told
        raise grpc.aio.AbortError


async def echo(call: Call[bytes]) -> bytes:
    return call.message


def outcome(shell: Shell, handler: Handler = echo) -> tuple[Any, tuple[Any, ...]]:
    """Return what a call has for gRPC: its response or error, and what it was aborted with."""
    context = Context()

    async def run() -> Any:
        wrapped: Any = shell.unary("/s/M", bytes, handler).stream_unary
        results = await asyncio.gather(wrapped(None, context), return_exceptions=True)
        await asyncio.sleep(0)  # hooks hear of the end after the call's task has ended
        return results[0]

    return asyncio.run(run()), context.aborted


def heard_of_a_call(*, refuses: bool) -> list[str]:
    heard: list[str] = []
    second = Noting("second", heard, refuses=refuses)
    shell = Shell((Noting("first", heard), Quiet(), second, Noting("third", heard)))

    async def handle(call: Call[bytes]) -> bytes:
        heard.append("handler")
        return call.message

    outcome(shell, handle)
    return heard


def test_hooks_hear_of_a_call_in_their_order_and_of_its_end_in_reverse() -> None:
    assert heard_of_a_call(refuses=False) == [
        "first start",
        "second start",
        "third start",
        "first message 4",
        "second message 4",
        "third message 4",
        "handler",
        "third end OK",
        "second end OK",
        "first end OK",
    ]


def test_of_a_refused_call_those_hear_that_had_let_it_begin() -> None:
    assert heard_of_a_call(refuses=True) == [
        "first start",
        "second start",
        "first end RESOURCE_EXHAUSTED",
    ]


def test_a_hook_that_fails_at_the_end_keeps_no_other_from_hearing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[str] = []
    shell = Shell((Noting("first", heard), Broken("end"), Noting("third", heard)))

    assert outcome(shell) == (b"four", ())

    assert [it for it in heard if "end" in it] == ["third end OK", "first end OK"]
    (line,) = [it for it in caplog.records if it.levelno >= logging.WARNING]
    assert line.message == "the hook Broken failed at the end of s/M"
    assert line.exc_info
    assert line.exc_info[0] is RuntimeError


@pytest.mark.parametrize("moment", ["start", "message"])
def test_a_hook_that_fails_before_is_a_failure_in_words_that_the_others_hear_of(
    caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    heard: list[str] = []

    _, (code, text, _) = outcome(Shell((Noting("first", heard), Broken(moment))))

    assert code is grpc.StatusCode.INTERNAL
    assert SECRET not in text
    assert heard[-1] == "first end INTERNAL"
    (line,) = [it for it in caplog.records if it.levelno >= logging.WARNING]
    assert line.message == "s/M failed unexpectedly"


def test_a_call_is_recorded_with_its_times_by_the_clock_of_the_shell() -> None:
    clock = ManualClock(100.0)
    ended: list[CallEnded] = []

    async def work(call: Call[bytes]) -> bytes:
        clock.advance(2.5)
        return b""

    async def refuse(call: Call[bytes]) -> bytes:
        clock.advance(1.0)
        raise REFUSAL

    shell = Rules.of(ended.append, ByteBudget(), clock).shell
    outcome(shell, work)
    outcome(shell, refuse)

    assert [(it.method, it.status, it.began, it.seconds) for it in ended] == [
        ("s/M", "OK", 100.0, 2.5),
        ("s/M", "RESOURCE_EXHAUSTED", 102.5, 1.0),
    ]


class Naming(Hook):
    """Finds out who calls."""

    def on_start(self, call: Call[Any]) -> None:
        call.caller = Caller("desk", Role.READER)


def test_the_end_of_a_call_is_recorded_with_its_caller() -> None:
    ended: list[CallEnded] = []
    outcome(Shell((Observed(ended.append), Naming())))
    outcome(Shell((Observed(ended.append), Noting("refuses", [], refuses=True), Naming())))

    assert [(it.status, it.caller) for it in ended] == [("OK", "desk"), ("RESOURCE_EXHAUSTED", "")]


class CountingOutflow(Unbounded):
    """Counts what waits for room, and what is given back."""

    def __init__(self) -> None:
        self.waited: list[int] = []
        self.held = 0

    def respond(self, size: int) -> None:
        raise AssertionError

    async def stream(self, size: int) -> int:
        self.waited.append(size)
        self.held += size
        return size

    def taken(self, size: int) -> None:
        self.held -= size


def test_large_responses_wait_for_room_and_small_ones_do_not() -> None:
    outflow, written = CountingOutflow(), []

    async def write(response: bytes) -> None:
        written.append((len(response), outflow.held))

    async def run() -> None:
        call = call_of(b"", HeldWire(write))
        call.outflow = outflow
        for size in (SMALL_RESPONSE_BYTES, SMALL_RESPONSE_BYTES + 1, 1):
            await call.write(bytes(size))
            assert call.has_responded

    asyncio.run(run())

    large = SMALL_RESPONSE_BYTES + 1
    assert written == [(SMALL_RESPONSE_BYTES, 0), (large, large), (1, 0)]
    assert outflow.waited == [large]
    assert outflow.held == 0


@pytest.mark.parametrize("size", [1, SMALL_RESPONSE_BYTES + 1])
def test_what_could_not_be_written_is_no_response_and_holds_nothing(size: int) -> None:
    """A stream that is left before it has had a response counts as given up."""
    outflow = CountingOutflow()

    async def fail(response: bytes) -> None:
        raise grpc.aio.InternalError("batch failed")

    async def run() -> Call[bytes]:
        call = call_of(b"", HeldWire(fail))
        call.outflow = outflow
        with pytest.raises(grpc.aio.InternalError):
            await call.write(bytes(size))
        return call

    call = asyncio.run(run())

    assert not call.has_responded
    assert outflow.held == 0
