"""What holds for every RPC of ours: errors become statuses, ends are reported, calls are counted.

It is wound around each behaviour once, when handlers are built. Health and reflection stay
outside: they must answer when nothing else does.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from gateway.errors import FieldViolation, GatewayError, invalid_argument, status_of
from gateway.events.log import LogUnavailableError

_log = logging.getLogger(__name__)

# Generic in their stubs only.
if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Context, Handler = grpc.aio.ServicerContext, grpc.RpcMethodHandler

Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


class CallEnded(NamedTuple):
    """An RPC that has ended: its full name, its status and how long it took, in seconds."""

    method: str
    code: grpc.StatusCode
    seconds: float


class CallObserver(Protocol):
    """Is told of every RPC's end."""

    def __call__(self, call: CallEnded, /) -> None:
        """Take note of an end."""


class CallWrapper:
    """Winds the common rules around behaviours, and knows how many calls are in flight."""

    def __init__(self, observe: CallObserver) -> None:
        self._observe = observe
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cutting_off = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """How many calls have begun and not ended."""
        return len(self._tasks)

    async def wait_until_idle(self) -> None:
        """Return when no call is in flight."""
        await self._idle.wait()

    async def cut_off(self, within_s: float) -> None:
        """End what is still in flight, each with a status that does not invite a repeat."""
        self._cutting_off = True
        for task in tuple(self._tasks):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.wait_until_idle()

    def wrap(
        self, method: str, read: Callable[[bytes], Any], behavior: Behavior
    ) -> Callable[[bytes, Context], Awaitable[Any]]:
        """Return the behaviour as it is to be registered under `/package.Service/Method`.

        It takes the request's bytes, which `read` turns into a message: gRPC's own deserialiser
        would answer bytes that are none with UNKNOWN, which to our callers means something else.
        """
        name = method.removeprefix("/")

        async def wrapped(data: bytes, context: Context) -> Any:
            started = perf_counter()
            code = grpc.StatusCode.OK
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self._idle.clear()
            try:
                return await behavior(_message(read, data), context)
            except GatewayError as error:
                code = error.code
                await _abort(context, error)
            except LogUnavailableError as error:
                _log.error("%s failed: %s", name, error)
                code = grpc.StatusCode.UNAVAILABLE
                await _abort(context, GatewayError(code, "LOG_UNAVAILABLE", str(error)))
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                if self._cutting_off:
                    code = grpc.StatusCode.UNKNOWN
                    await _abort(context, _cut_off_error())
                # Always passed on: swallowing it leaks the call (grpc/grpc#43360).
                raise
            except Exception:
                # The text of an exception nobody foresaw may hold anything: it goes to the log.
                _log.exception("%s failed unexpectedly", name)
                code = grpc.StatusCode.INTERNAL
                text = "the gateway failed unexpectedly; its log has the cause"
                await _abort(context, GatewayError(code, "GATEWAY_FAILURE", text))
            finally:
                self._tasks.discard(task)
                if not self._tasks:
                    self._idle.set()
                self._observe(CallEnded(name, code, perf_counter() - started))

        return wrapped


def _message(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError:
        text = "the request's bytes are not a message of its type"
        raise invalid_argument([FieldViolation("", text)]) from None


def _cut_off_error() -> GatewayError:
    # gRPC itself would say UNAVAILABLE, which to our callers means that a repeat can do no harm.
    return GatewayError(
        grpc.StatusCode.UNKNOWN,
        "OUTCOME_UNKNOWN",
        "the gateway was shut down before the call had ended; a command may have run",
        {"outcome": "unknown"},
    )


async def _abort(context: Context, error: GatewayError) -> NoReturn:
    status = rpc_status.to_status(status_of(error))
    metadata = tuple(status.trailing_metadata)
    if error.retry_after is not None:
        # Tells gRPC's own retries how long to wait (gRFC A6, "pushback").
        metadata += (("grpc-retry-pushback-ms", str(round(error.retry_after * 1_000))),)
    await context.abort(status.code, status.details, metadata)
    raise AssertionError("abort does not return")
