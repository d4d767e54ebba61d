"""Hooks: what holds for all calls, each rule in one place, around every call in one order."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from grpc import StatusCode

from gateway.refused import Refused
from gateway.rpc.call import Call


class CallEnded(NamedTuple):
    """An RPC that has ended: its full name, its status and how long it took, in seconds.

    `refused` says what the gateway refused of it, None if nothing.
    """

    method: str
    code: StatusCode
    seconds: float
    refused: Refused | None = None


class Hook:
    """What happens beside a call's handler: when it begins, has its message, and has ended.

    A hook is one rule for all calls and has no say in what a handler does. It overrides the moments
    that it needs.
    """

    def on_start(self, call: Call[Any]) -> None:
        """Let a call begin, whose message has not come yet.

        Raises GatewayError to refuse it: then no later hook hears of the call.
        """

    def on_message(self, call: Call[Any], size: int) -> None:
        """Take note of a call's message: it has come, with so many bytes."""

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """Take note that a call's status has been handed to the network.

        The hooks that let it begin hear of its end in reverse order.
        """


CallObserver: TypeAlias = Callable[[CallEnded], None]


class Observed(Hook):
    """Tells an observer of every end, those of refused calls among them."""

    def __init__(self, observe: CallObserver) -> None:
        self._observe = observe

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        self._observe(end)
