"""The rules around every call: how it ends when its caller, its deadline or the gateway goes."""

import asyncio
import logging
import threading
import time
from typing import Any, NoReturn

import grpc
import pytest

from gateway.bytebudget import ByteBudget
from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import Handler
from tests.harness.gateway import failure_of
from tests.harness.loop import LoopThread
from tests.harness.served import Serve, Served

Code = grpc.StatusCode

# How often a race is run: an unguarded abort loses one of about fifty.
RACES = 1_500


class Begun:
    """A handler that tells when it has begun, and waits for ever."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    async def __call__(self, call: Call[bytes]) -> NoReturn:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


async def echo(call: Call[bytes]) -> bytes:
    return b"said"


def cut_off(served: Served, loop: LoopThread) -> None:
    loop.run(served.rules.in_flight.cut_off(20))


def test_a_call_after_the_refusal_is_told_to_call_again(serve: Serve, loop: LoopThread) -> None:
    served = serve(Echo=echo)
    assert served.call("Echo").result() == b"said"

    loop.call(served.rules.in_flight.refuse)

    failure = failure_of(served.call("Echo").result)
    assert (failure.code, failure.info.reason) == (Code.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN")
    assert failure.status.details[1].type_url.endswith("google.rpc.RetryInfo")
    assert len(served.rules.in_flight) == 0
    assert served.codes(2) == [Code.OK, Code.UNAVAILABLE]


def test_a_call_in_flight_goes_on_after_the_refusal(serve: Serve, loop: LoopThread) -> None:
    let_go, begun = asyncio.Event(), threading.Event()

    async def wait(call: Call[bytes]) -> bytes:
        begun.set()
        await let_go.wait()
        return b"done"

    served = serve(Wait=wait)
    call = served.call("Wait")
    assert begun.wait(20)

    loop.call(served.rules.in_flight.refuse)
    loop.call(let_go.set)

    assert call.result() == b"done"


def test_a_call_is_in_flight_until_its_response_has_gone_out(
    serve: Serve, loop: LoopThread
) -> None:
    in_flight: list[int] = []

    async def count(call: Call[bytes]) -> bytes:
        # Run when the handler has ended; the response is still to be sent.
        asyncio.get_running_loop().call_soon(lambda: in_flight.append(len(served.rules.in_flight)))
        return b"said"

    served = serve(Count=count)

    served.call("Count").result()

    served.idle()
    assert in_flight == [1]


def test_who_has_calls_in_flight_is_known(serve: Serve) -> None:
    handler = Begun()
    served = serve(Wait=handler)
    call = served.call("Wait")
    assert handler.begun.wait(20)

    assert [peer.split(":")[:2] for peer in served.rules.in_flight.peers] == [["ipv4", "127.0.0.1"]]

    call.cancel()
    served.idle()
    assert served.rules.in_flight.peers == frozenset()


def test_what_is_cut_off_without_effects_may_be_called_again(
    serve: Serve, loop: LoopThread
) -> None:
    handler = Begun()
    served = serve(Wait=handler)
    call = served.call("Wait")
    assert handler.begun.wait(20)

    cut_off(served, loop)

    failure = failure_of(call.result)
    assert (failure.code, failure.info.reason) == (Code.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN")
    assert dict(failure.info.metadata) == {}
    assert served.codes(1) == [Code.UNAVAILABLE]


def test_what_is_cut_off_is_explained_by_who_had_the_effect(serve: Serve, loop: LoopThread) -> None:
    begun = threading.Event()
    known = {"command_id": "c1"}

    async def command(call: Call[bytes]) -> NoReturn:
        call.explain_cut_off = lambda: GatewayError(
            Code.UNKNOWN, "OUTCOME_UNKNOWN", "it may have run", known
        )
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            # The explanation knows what was found out on the way out.
            known["attempts"] = "1"
        raise AssertionError

    served = serve(Command=command)
    call = served.call("Command")
    assert begun.wait(20)

    cut_off(served, loop)

    failure = failure_of(call.result)
    assert (failure.code, failure.info.reason) == (Code.UNKNOWN, "OUTCOME_UNKNOWN")
    assert dict(failure.info.metadata) == {"command_id": "c1", "attempts": "1"}
    assert served.codes(1) == [Code.UNKNOWN]


def test_a_caller_who_goes_is_not_answered_by_the_explanation(serve: Serve) -> None:
    begun = threading.Event()

    async def command(call: Call[bytes]) -> NoReturn:
        call.explain_cut_off = lambda: GatewayError(Code.UNKNOWN, "X", "x")
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    served = serve(Command=command)
    call = served.call("Command")
    assert begun.wait(20)

    call.cancel()

    assert served.codes(1) == [Code.CANCELLED]


def test_a_deadline_that_passes_is_counted_as_one_and_a_caller_who_goes_as_another(
    serve: Serve,
) -> None:
    handler = Begun()
    served = serve(Wait=handler)

    assert failure_of(served.call("Wait", timeout=0.3).result).code is Code.DEADLINE_EXCEEDED
    assert handler.begun.wait(20)
    assert served.codes(1) == [Code.DEADLINE_EXCEEDED]

    handler.begun.clear()
    call = served.call("Wait", timeout=3_600)
    assert handler.begun.wait(20)
    call.cancel()
    assert served.codes(2) == [Code.DEADLINE_EXCEEDED, Code.CANCELLED]


class GoneContext:
    """The context of a call that is over on the wire, before gRPC has cancelled the handler."""

    def __init__(self, left: float | None) -> None:
        self._left = left

    def time_remaining(self) -> float | None:
        left, self._left = self._left, 0.0 if self._left is not None else None
        return left

    def peer(self) -> str:
        return "ipv4:192.0.2.1:40000"

    def invocation_metadata(self) -> None:
        return None

    def set_trailing_metadata(self, metadata: object) -> None:
        pass

    async def send_initial_metadata(self, metadata: object) -> None:
        pass

    async def read(self) -> bytes:
        return b""

    def done(self) -> bool:
        return False

    async def abort(self, *_: object) -> NoReturn:
        raise grpc.aio.InternalError("batch failed")

    async def write(self, message: bytes) -> None:
        raise grpc.aio.InternalError("batch failed")


async def fails(call: Call[bytes]) -> NoReturn:
    raise GatewayError(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "too late")


async def breaks(call: Call[bytes]) -> NoReturn:
    raise RuntimeError("nobody foresaw it")


async def writes(call: Call[bytes]) -> None:
    await call.write(b"x")


@pytest.mark.parametrize(
    ("handler", "logged"),
    [(fails, []), (writes, []), (breaks, ["s/M failed unexpectedly"])],
)
@pytest.mark.parametrize(("left", "code"), [(None, Code.CANCELLED), (2.0, Code.DEADLINE_EXCEEDED)])
def test_a_status_that_cannot_be_sent_ends_the_call_quietly(
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    handler: Handler,
    logged: list[str],
    left: float | None,
    code: Code,
) -> None:
    ends: list[CallEnded] = []

    async def run() -> None:
        shell = Rules.of(ends.append, ByteBudget()).shell
        wrapped: Any = shell.stream("/s/M", bytes, handler).stream_stream
        # What gRPC itself raises into a handler whose caller has gone, and does not log.
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(wrapped(None, GoneContext(left)))
        await asyncio.sleep(0)  # the hooks hear of the end after the call's task has ended

    loop.run(run())

    assert [end.status for end in ends] == [code.name]
    assert [it.message for it in caplog.records if it.levelno >= logging.ERROR] == logged


@pytest.mark.slow
def test_deadlines_and_callers_that_race_the_status_log_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Behaviours that end at the very moment at which the deadline passes, or the caller goes."""

    async def at_the_deadline(call: Call[bytes]) -> NoReturn:
        await asyncio.sleep(call.time_remaining() or 0.0)
        raise GatewayError(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "too late")

    served = serve(Race=at_the_deadline)
    caplog.set_level(logging.WARNING)

    for _ in range(RACES // 50):
        begun = [served.call("Race", timeout=0.02 + number / 5_000) for number in range(50)]
        assert {failure_of(call.result).code for call in begun} == {Code.DEADLINE_EXCEEDED}
    for _ in range(RACES // 50):
        leaving = [served.call("Race", timeout=0.01) for _ in range(50)]
        time.sleep(0.01)
        for call in leaving:
            call.cancel()

    served.idle()
    assert [it.getMessage() for it in caplog.records] == []


class KnownGoneContext(GoneContext):
    """That of a call whose caller has gone, as gRPC has said. `sent` is what it was given."""

    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[str] = []

    def done(self) -> bool:
        return True

    async def send_initial_metadata(self, metadata: object) -> None:
        self.sent.append("metadata")

    async def abort(self, *_: object) -> NoReturn:
        self.sent.append("status")
        raise grpc.aio.AbortError


@pytest.mark.parametrize("arity", ["stream_unary", "stream_stream"])
def test_nothing_is_sent_to_a_caller_that_has_gone(loop: LoopThread, arity: str) -> None:
    ends: list[CallEnded] = []
    context = KnownGoneContext()

    async def run() -> None:
        shell = Rules.of(ends.append, ByteBudget()).shell
        register = shell.unary if arity == "stream_unary" else shell.stream
        wrapped: Any = getattr(register("/s/M", bytes, fails), arity)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(wrapped(None, context))
        await asyncio.sleep(0)  # the hooks hear of the end after the call's task has ended

    loop.run(run())

    assert context.sent == []
    assert [end.status for end in ends] == [Code.CANCELLED.name]
