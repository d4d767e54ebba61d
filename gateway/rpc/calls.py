"""What holds for every RPC of ours: errors become statuses, ends are reported, calls are counted.

It is wound around each behaviour once, when handlers are built. Health and reflection stay
outside: they must answer when nothing else does.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from gateway.bytebudget import ByteBudget
from gateway.details import FieldViolation
from gateway.errors import GatewayError, invalid_argument
from gateway.events.log import LogBusyError, LogUnavailableError
from gateway.rpc.aborts import abort_arguments
from gateway.rpc.peers import GIVEN_UP_WITHIN_S, Peer, Peers
from gateway.rpc.stream_context import StreamContext
from gateway.rpc.upstream_statuses import gateway_error
from gateway.schema.invalid import InvalidRequestError
from gateway.upstream.errors import UpstreamError

_log = logging.getLogger(__name__)

# When to call again after a refusal by a gateway that shuts down, in seconds: by then a connection
# without calls in flight has been told to go, and the next call goes elsewhere.
SHUTDOWN_RETRY_S = 0.25

# When to call again after a refusal because too many read the event log, in seconds: about half of
# those who waited have had their turn by then.
OVERLOAD_RETRY_S = 1.0

# A client gives up at its own clock, which began to run before ours, and sends its deadline rounded
# up: it may be gone that much (seconds, and share of the deadline) before we see the deadline pass.
_DEADLINE_SLACK_S = 0.02
_DEADLINE_ROUNDING = 0.01

# How long the message of a call may take to come, in seconds. It is 1 MiB at most; a call without
# one is nothing but a place that is held.
MESSAGE_S = 10.0
# A shutdown does not wait as long for calls that nothing was begun for.
_MESSAGE_AT_SHUTDOWN_S = 1.0

# The largest header of a call, in bytes as HTTP/2 counts them (RFC 9113, 6.5.2): names, values, and
# 32 for each. Some 200 fields at the most. gRPC's default, from which on it would refuse at random.
METADATA_BYTES_MAX = 8 * 1024

# Generic in their stubs only.
if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Context, Handler = grpc.aio.ServicerContext, grpc.RpcMethodHandler

Behavior: TypeAlias = Callable[[Any, Any], Awaitable[Any]]


class CallEnded(NamedTuple):
    """An RPC that has ended: its full name, its status and how long it took, in seconds."""

    method: str
    code: grpc.StatusCode
    seconds: float


class CallObserver(Protocol):
    """Is told of every RPC's end."""

    def __call__(self, call: CallEnded, /) -> None:
        """Take note of an end."""


@dataclass(slots=True)
class _InFlight:
    """A call that has begun: who makes it, and what it has to say if it is cut off."""

    peer: Peer
    began: float
    explain: Callable[[], GatewayError]
    # Bytes of a response that the client has not taken.
    unread: int = 0
    given_up: bool = False
    answered: bool = False  # a stream that has had a response: to leave it is no flood
    silent: bool = False
    late: bool = False


class CallWrapper:
    """Winds the common rules around behaviours, and knows how many calls are in flight.

    A call is in flight until its status has been handed to the network. Calls that are refused
    because the gateway is shutting down are not counted.
    """

    def __init__(self, observe: CallObserver, budget: ByteBudget | None = None) -> None:
        self._observe = observe
        self.admission = Peers(ByteBudget() if budget is None else budget)
        # Calls whose message has not come, the oldest first.
        self._silent: dict[asyncio.Task[Any], _InFlight] = {}
        self._calls: dict[asyncio.Task[Any], _InFlight] = {}
        self._refusing = False
        self._cutting_off = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """How many calls have begun and not ended."""
        return len(self._calls)

    @property
    def peers(self) -> frozenset[str]:
        """Who has calls in flight, as gRPC names them (`ipv4:127.0.0.1:40000`)."""
        return frozenset(call.peer.name for call in self._calls.values())

    async def wait_until_idle(self) -> None:
        """Return when no call is in flight."""
        await self._idle.wait()

    def refuse(self) -> None:
        """Refuse calls that come from now on: the gateway is shutting down."""
        self._refusing = True

    def explain_cut_off(self, explain: Callable[[], GatewayError]) -> None:
        """Have `explain` make the status of the current call if a shutdown cuts it off.

        Whoever has an effect on anything calls this before; without it a call that is cut off is
        said to have done nothing. `explain` is called when the behaviour has ended.
        """
        call = self._calls.get(_current_task())
        if call is not None:
            call.explain = explain

    async def cut_off(self, within_s: float) -> None:
        """End what is still in flight, each call with a status that says what became of it."""
        self._cutting_off = True
        for task in tuple(self._calls):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.wait_until_idle()

    def end_silent(self) -> None:
        """End calls whose message has not come in time."""
        too_old = perf_counter() - (_MESSAGE_AT_SHUTDOWN_S if self._refusing else MESSAGE_S)
        for task, call in tuple(self._silent.items()):
            if call.began > too_old:
                return
            call.late = True
            task.cancel()

    def unary(
        self,
        method: str,
        read: Callable[[bytes], Any],
        behavior: Behavior,
        write: Callable[[Any], bytes] = bytes,
    ) -> Handler:
        """Return the handler of `/package.Service/Method`, which gives one response.

        `read` makes a message of the request's bytes and `write` bytes of the response: gRPC's own
        deserialiser would answer bytes that are none with UNKNOWN, which to our callers means
        something else.
        """

        async def respond(call: _InFlight, request: Any, context: Context) -> bytes:
            response = write(await behavior(request, context))
            call.unread = self.admission.respond(call.peer, len(response))
            return response

        # For gRPC the requests are streams: so we see calls that have no message.
        return grpc.stream_unary_rpc_method_handler(self._wrap(method, read, respond))

    def stream(self, method: str, read: Callable[[bytes], Any], behavior: Behavior) -> Handler:
        """Return the handler of a method whose responses are a stream of bytes."""

        async def respond(call: _InFlight, request: Any, context: Context) -> None:
            stream = StreamContext(context, call.peer, self.admission)
            try:
                await behavior(request, stream)
            finally:
                call.answered = stream.has_written

        return grpc.stream_stream_rpc_method_handler(self._wrap(method, read, respond))

    def _wrap(
        self,
        method: str,
        read: Callable[[bytes], Any],
        respond: Callable[[_InFlight, Any, Context], Awaitable[Any]],
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        name = method.removeprefix("/")

        async def wrapped(_messages: Any, context: Context) -> Any:
            started = perf_counter()
            granted = context.time_remaining()
            code = grpc.StatusCode.OK
            call: _InFlight | None = None
            try:
                try:
                    call = self._begin(context, started)
                    return await self._run(name, call, read, respond, context)
                except GatewayError as error:
                    code = error.code
                    told = abort_arguments(error)
                # Not while the error is handled: the call holds what `abort` raises, and that would
                # hold, by the error's traceback, everything of the call and so the call.
                await context.abort(*told)
            except asyncio.CancelledError:
                if code is grpc.StatusCode.OK:
                    code = _code_of_the_gone(context, granted)
                # Always passed on: swallowing it leaks the call (grpc/grpc#43360).
                raise
            except grpc.aio.InternalError:
                # Nothing can be sent any more: the caller has gone, or its deadline has passed,
                # and gRPC has not come to cancelling the call yet. What it would have done then:
                code = _code_of_the_gone(context, granted)
                raise asyncio.CancelledError from None
            finally:
                del context, _messages  # or a traceback would hold them, and they the call
                seconds = perf_counter() - started
                if call is not None and code is grpc.StatusCode.CANCELLED:
                    call.given_up = seconds < GIVEN_UP_WITHIN_S and not call.answered
                self._observe(CallEnded(name, code, seconds))

        return wrapped

    def _begin(self, context: Context, started: float) -> _InFlight:
        """Count the current call until its task has ended: the status goes out after the wrapper.

        Raises GatewayError for a call that is not taken any more.
        """
        if self._refusing:
            raise _shutting_down("the gateway is shutting down and takes no new calls")
        call = _InFlight(self.admission.admit(context.peer()), started, _cut_off_error)
        task = _current_task()
        self._calls[task] = self._silent[task] = call
        self._idle.clear()
        task.add_done_callback(self._ended)
        return call

    def _ended(self, task: asyncio.Task[Any]) -> None:
        call = self._calls.pop(task)
        self.admission.taken(call.peer, call.unread)
        self.admission.ended(call.peer, given_up=call.given_up, silent=call.silent)
        if not self._calls:
            self._idle.set()

    async def _message(self, call: _InFlight, context: Context) -> bytes:
        """Return the request's bytes."""
        try:
            data: Any = await context.read()
        finally:
            del self._silent[_current_task()]
        if data is grpc.aio.EOF:
            call.silent = True
            # Often its caller has given it up, and nobody would hear a status.
            if context.done():
                raise asyncio.CancelledError
            raise invalid_argument([FieldViolation("", "the request has no message")])
        call.peer.requests += len(data) + METADATA_BYTES_MAX
        return bytes(data)

    async def _run(
        self,
        name: str,
        call: _InFlight,
        read: Callable[[bytes], Any],
        respond: Callable[[_InFlight, Any, Context], Awaitable[Any]],
        context: Context,
    ) -> Any:
        """Return what a behaviour returns; whatever goes wrong in it becomes a GatewayError."""
        try:
            request = _read(read, await self._message(call, context))
            return await respond(call, request, context)
        except (GatewayError, grpc.aio.InternalError):
            raise
        except InvalidRequestError as error:
            raise invalid_argument(error.violations) from None
        except UpstreamError as error:
            raise gateway_error(error) from None
        except LogBusyError as error:
            _log.warning("%s refused: %s", name, error)
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            text = f"{error}; call again a little later, or run more gateways"
            raise GatewayError(
                code, "GATEWAY_OVERLOADED", text, retry_after=OVERLOAD_RETRY_S
            ) from None
        except LogUnavailableError as error:
            _log.error("%s failed: %s", name, error)
            code = grpc.StatusCode.UNAVAILABLE
            raise GatewayError(code, "LOG_UNAVAILABLE", str(error)) from None
        except asyncio.CancelledError:
            if self._cutting_off:
                raise call.explain() from None
            if call.late:
                call.silent = True
                text = "the request's message has not come in time"
                raise invalid_argument([FieldViolation("", text)]) from None
            raise
        except Exception:
            # The text of an exception nobody foresaw may hold anything: it goes to the log.
            _log.exception("%s failed unexpectedly", name)
            code = grpc.StatusCode.INTERNAL
            text = "the gateway failed unexpectedly; its log has the cause"
            raise GatewayError(code, "GATEWAY_FAILURE", text) from None


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _read(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError:
        text = "the request's bytes are not a message of its type"
        raise invalid_argument([FieldViolation("", text)]) from None


def _cut_off_error() -> GatewayError:
    return _shutting_down("the gateway was shut down before the call had ended; it had no effect")


def _shutting_down(text: str) -> GatewayError:
    return GatewayError(
        grpc.StatusCode.UNAVAILABLE,
        "GATEWAY_SHUTTING_DOWN",
        f"{text}: call again, another gateway or this one's successor will answer",
        retry_after=SHUTDOWN_RETRY_S,
    )


def _code_of_the_gone(context: Context, granted: float | None) -> grpc.StatusCode:
    """Return what a caller sees who waits no longer, of `granted` seconds at the beginning."""
    left = context.time_remaining()
    if granted is None or left is None or left > _DEADLINE_SLACK_S + granted * _DEADLINE_ROUNDING:
        return grpc.StatusCode.CANCELLED
    return grpc.StatusCode.DEADLINE_EXCEEDED
