"""The shell around every handler: gRPC outside, a `Call` and hooks inside.

It is wound around each handler once, when methods are registered. Health and reflection stay
outside: they must respond when nothing else does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from gateway.details import FieldViolation
from gateway.records.calls import CallEnded
from gateway.records.refusals import Refused, Subject
from gateway.server.call import Call
from gateway.server.errors import GatewayError, invalid_argument, status_of
from gateway.server.grpc.heldback import HeldBack
from gateway.server.hooks.hook import Hook
from gateway.server.hooks.silence import NO_MESSAGE
from gateway.server.request_ids import HEADER
from gateway.server.statuses import error_of

_log = logging.getLogger(__name__)

# A client gives up at its own clock, which began to run before ours, and sends its deadline rounded
# up: it may be gone that much (seconds, and share of the deadline) before we see the deadline pass.
_DEADLINE_SLACK_S = 0.02
_DEADLINE_ROUNDING = 0.01

# Generic in their stubs only.
if TYPE_CHECKING:
    _Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    MethodHandler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    _Context, MethodHandler = grpc.aio.ServicerContext, grpc.RpcMethodHandler

# Of services by their full names, and of each by the methods' names.
Methods: TypeAlias = Mapping[str, Mapping[str, MethodHandler]]
Handler: TypeAlias = Callable[[Call[Any]], Coroutine[Any, Any, Any]]
_Respond: TypeAlias = Callable[[Call[Any]], Awaitable[Any]]


class Shell:
    """Makes gRPC's handlers of ours. `hooks` are told of every call, in this order.

    `now` is the monotonic clock, in seconds. `held_back` holds back searches that are many on one
    connection; without it none is.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        now: Callable[[], float] = monotonic,
        held_back: HeldBack | None = None,
    ) -> None:
        self._held_back = held_back
        self._hooks = tuple(hooks)
        self._now = now
        # Few hooks have anything to do then, and commands are many.
        self._on_message = tuple(
            it.on_message for it in hooks if type(it).on_message is not Hook.on_message
        )

    def unary(
        self,
        method: str,
        read: Callable[[bytes], Any],
        handler: Handler,
        write: Callable[[Any], bytes] = bytes,
        stands_for: int = 1,
        is_search: bool = False,
    ) -> MethodHandler:
        """Return gRPC's handler of `/package.Service/Method`, which gives one response.

        `read` makes a message of the request's bytes and `write` bytes of the response: gRPC's own
        deserialiser would fail with UNKNOWN on bytes that are none, which to our callers means
        something else. `stands_for` is how many calls each of its calls counts as,
        and `is_search` says that it reads what others may have to wait for.
        """

        async def respond(call: Call[Any]) -> bytes:
            response = write(await handler(call))
            call.outflow.respond(len(response))
            call.sent_bytes = len(response)
            return response

        # For gRPC the requests are streams: so we see calls that have no message.
        wrapped = self._wrap(method, read, respond, stands_for=stands_for)
        if is_search and self._held_back is not None:
            wrapped = self._held_back.around(wrapped)
        return grpc.stream_unary_rpc_method_handler(wrapped)

    def stream(self, method: str, read: Callable[[bytes], Any], handler: Handler) -> MethodHandler:
        """Return gRPC's handler of a method whose responses are a stream of bytes."""
        return grpc.stream_stream_rpc_method_handler(
            self._wrap(method, read, handler, is_stream=True)
        )

    def _wrap(
        self,
        method: str,
        read: Callable[[bytes], Any],
        respond: _Respond,
        *,
        is_stream: bool = False,
        stands_for: int = 1,
    ) -> Callable[[Any, _Context], Awaitable[Any]]:
        name = method.removeprefix("/")

        async def wrapped(_messages: Any, context: _Context) -> Any:
            task = asyncio.current_task()
            assert task is not None
            call: Call[Any] = Call(name, context, self._now(), task, is_stream)
            call.stands_for = stands_for
            code = grpc.StatusCode.OK
            hooked = _Hooked(call, self._now, is_stream=is_stream)
            id_ = ((HEADER, call.request_id),)
            # Behind the response, with the status: before it would be a write of its own.
            context.set_trailing_metadata(id_)
            # The status goes out after this function has ended, and before its task has.
            task.add_done_callback(hooked.ended)
            try:
                try:
                    await hooked.start(self._hooks)
                    # Nobody waits for the status of a stream to learn its id.
                    opening = id_ if is_stream else None
                    return await self._run(call, read, respond, context, opening)
                except GatewayError as error:
                    code = error.code
                    told = abort_arguments(error, call.request_id)
                    hooked.failed(error)
                # Not while the error is handled: the call holds what `abort` raises, and that would
                # hold, by the error's traceback, everything of the call and so the call.
                if context.done():
                    code = _code_of_the_gone(call)
                    raise asyncio.CancelledError
                await context.abort(*told)
            except asyncio.CancelledError:
                if code is grpc.StatusCode.OK:
                    code = _code_of_the_gone(call)
                # Always passed on: swallowing it leaks the call (grpc/grpc#43360).
                raise
            except grpc.aio.InternalError:
                # Nothing can be sent any more: the caller has gone, or its deadline has passed,
                # and gRPC has not come to cancelling the call yet. What it would have done then:
                code = _code_of_the_gone(call)
                raise asyncio.CancelledError from None
            finally:
                del context, _messages, call  # or a traceback would hold them, and they the call
                hooked.code = code
                del hooked

        return wrapped

    async def _run(
        self,
        call: Call[Any],
        read: Callable[[bytes], Any],
        respond: _Respond,
        context: _Context,
        opening: tuple[tuple[str, str], ...] | None,
    ) -> Any:
        """Return what a handler returns; whatever goes wrong in it becomes a GatewayError.

        `opening` is the metadata that is sent before, None for none.
        """
        try:
            data = await _message(call, context)
            call.received_bytes = len(data)
            for on_message in self._on_message:
                on_message(call, len(data))
            if opening is not None:
                _unless_gone(context)
                await context.send_initial_metadata(opening)
            call.message = _read(read, data)
            del data
            return await respond(call)
        except grpc.aio.InternalError:
            raise
        except asyncio.CancelledError:
            if call.ended_by is not None:
                raise call.ended_by() from None
            raise
        except Exception as error:
            raise error_of(error, call.method, call.request_id) from None


class _Hooked:
    """A call and the hooks that have let it begin."""

    __slots__ = (
        "_call",
        "_is_stream",
        "_message",
        "_now",
        "_reason",
        "_refused",
        "_started",
        "code",
    )

    def __init__(self, call: Call[Any], now: Callable[[], float], *, is_stream: bool) -> None:
        self._call = call
        self._now = now
        self._is_stream = is_stream
        self._started: tuple[Hook, ...] = ()
        self.code = grpc.StatusCode.OK
        self._reason = self._message = ""
        self._refused: Refused | None = None

    async def start(self, hooks: tuple[Hook, ...]) -> None:
        """Tell hooks of the call's beginning until one refuses it. Raises GatewayError."""
        for number, hook in enumerate(hooks):
            try:
                waits = hook.on_start(self._call)
                if waits is not None:
                    await waits
            except asyncio.CancelledError:
                if self._call.ended_by is not None:
                    raise self._call.ended_by() from None
                raise
            except Exception as error:
                raise error_of(error, self._call.method, self._call.request_id) from None
            self._started = hooks[: number + 1]

    def failed(self, error: GatewayError) -> None:
        """Take note of the error that its caller gets: no more of it is kept than its words."""
        self._reason, self._message = error.reason, error.message
        self._refused = _refused(self._call, error)

    def ended(self, task: "asyncio.Task[Any]") -> None:
        """Tell them of its end."""
        call = self._call
        end = CallEnded(
            call.method,
            self.code.name,
            call.began,
            self._now() - call.began,
            self._refused,
            peer=call.peer,
            caller=call.caller.name,
            reason=self._reason,
            message=self._message,
            attempts=0 if call.asked is None else call.asked.attempts,
            received_bytes=call.received_bytes,
            sent_bytes=call.sent_bytes,
            is_stream=self._is_stream,
            request_id=call.request_id,
            span=call.span,
        )
        for hook in reversed(self._started):
            try:
                hook.on_end(call, end)
            except Exception:
                name = type(hook).__name__
                _log.exception("the hook %s failed at the end of %s", name, call.method)


async def _message(call: Call[Any], context: _Context) -> bytes:
    """Return the request's bytes."""
    data: Any = await context.read()
    if data is grpc.aio.EOF:
        call.lacks_message = True
        # Often its caller has given it up.
        _unless_gone(context)
        violation = FieldViolation("", "the request has no message")
        raise invalid_argument([violation], NO_MESSAGE)
    return bytes(data)


def _unless_gone(context: _Context) -> None:
    """Raise CancelledError if nobody hears what is sent.

    gRPC would fail to send it and leak some 300 bytes, which keep their page from being given back
    to the system (grpc/grpc#43360).
    """
    if context.done():
        raise asyncio.CancelledError


def _read(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError:
        text = "the request's bytes are not a message of its type"
        raise invalid_argument([FieldViolation("", text)]) from None


def _refused(call: Call[Any], error: GatewayError) -> Refused | None:
    """Return what is recorded of an error: no more of it is kept than its words."""
    if not error.refusal:
        return None
    # The gateway has room for others where its caller alone has none left.
    is_shortage = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and not error.limit
    detail = f"{call.method}: {error.message}"
    return Refused(Subject.CALL, error.refusal, call.peer, detail, is_shortage, error.limit)


def abort_arguments(
    error: GatewayError, request_id: str
) -> tuple[grpc.StatusCode, str, tuple[Any, ...]]:
    """Return what gRPC is given to end a call with an error."""
    status = rpc_status.to_status(status_of(error, request_id))
    metadata = (*status.trailing_metadata, (HEADER, request_id))
    if error.retry_after is not None:
        # Tells gRPC's own retries how long to wait (gRFC A6, "pushback").
        metadata += (("grpc-retry-pushback-ms", str(round(error.retry_after * 1_000))),)
    return status.code, status.details, metadata


def _code_of_the_gone(call: Call[Any]) -> grpc.StatusCode:
    """Return what a caller sees who waits no longer."""
    granted, left = call.granted_s, call.time_remaining()
    if granted is None or left is None or left > _DEADLINE_SLACK_S + granted * _DEADLINE_ROUNDING:
        return grpc.StatusCode.CANCELLED
    return grpc.StatusCode.DEADLINE_EXCEEDED
