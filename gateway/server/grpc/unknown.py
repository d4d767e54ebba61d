"""Methods that nobody serves: refused in words, by gRPC if there are many, and always counted."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, NoReturn

import grpc
from grpc import StatusCode

from gateway.details import shortened
from gateway.records.calls import OTHER, UnknownCalls
from gateway.records.observer import Observer
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.grpc.shell import MethodHandler, Shell
from gateway.tokenbucket import TokenBucket

# How much of a name is repeated in the error, in bytes.
_NAME_BYTES = 200

# Calls that are refused in words, at once and in a second: whoever tries methods out, or is of a
# later version. Words cost as much as a command does. Further ones are left to gRPC, whose refusal
# costs a third of that, so that a flood of them delays others less.
IN_WORDS_MAX = 100
IN_WORDS_PER_S = 20

# How long calls left to gRPC are counted before they are reported together, in seconds.
REPORTED_AFTER_S = 0.25

_REASON = "METHOD_NOT_FOUND"


class UnknownMethods(grpc.GenericRpcHandler):
    """Serves every method; to be registered behind all others.

    Without it gRPC would refuse such calls by itself, and nobody would see them. `observe` is told
    how many are left to it, which does not say here whose they are; the hooks of `shell` see the
    others, each of which stands for those left since the one before: so the connection that sends
    most of them is soon held for the flood. `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self, shell: Shell, observe: Observer[UnknownCalls], now: Callable[[], float] = monotonic
    ) -> None:
        self._shell = shell
        self._observe = observe
        # Calls left to gRPC since the last report, and since the last refusal in words.
        self._left = self._since_words = 0
        self._in_words = TokenBucket(IN_WORDS_PER_S, IN_WORDS_MAX, now)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        """Return a handler that refuses, None for gRPC to refuse by itself."""
        if not self._in_words.try_take(1):
            if not self._left:
                asyncio.get_running_loop().call_later(REPORTED_AFTER_S, self._report)
            self._left += 1
            self._since_words += 1
            return None
        stands_for, self._since_words = self._since_words + 1, 0
        name = shortened(handler_call_details.method, _NAME_BYTES)

        async def refuse(call: Call[Any]) -> NoReturn:
            raise GatewayError(
                StatusCode.UNIMPLEMENTED,
                _REASON,
                f"there is no method {name}: reflection lists those that this gateway has",
                refusal=_REASON,
            )

        return self._shell.unary(OTHER, bytes, refuse, stands_for=stands_for)

    def _report(self) -> None:
        left, self._left = self._left, 0
        self._observe(UnknownCalls(_REASON, left))
