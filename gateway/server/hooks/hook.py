"""Hooks: what holds for all calls, each rule in one place, around every call in one order."""

from collections.abc import Awaitable
from typing import Any

from gateway.records.calls import CallEnded
from gateway.records.observer import Observer
from gateway.server.call import Call


class Hook:
    """What happens beside a call's handler: when it begins, has its message, and has ended.

    A hook is one rule for all calls and has no say in what a handler does. It overrides the moments
    that it needs.
    """

    def on_start(self, call: Call[Any]) -> Awaitable[None] | None:
        """Let a call begin, whose message has not come yet.

        Returns what must be awaited before that, None if there is nothing. Raises GatewayError to
        refuse it, at once or when that is awaited: then no later hook hears of the call.
        """
        return None

    def on_message(self, call: Call[Any], size: int) -> None:
        """Take note of a call's message: it has come, with so many bytes."""

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """Take note that a call's status has been handed to the network.

        The hooks that let it begin hear of its end in reverse order. An error in one of them is
        logged: the others hear all the same, and the call has ended already.
        """


class Observed(Hook):
    """Tells an observer of every end, those of refused calls among them."""

    def __init__(self, observe: Observer[CallEnded]) -> None:
        self._observe = observe

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        self._observe(end)
