"""Calls whose message does not come."""

from collections.abc import Callable
from time import monotonic
from typing import Any

from gateway.details import FieldViolation
from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.errors import GatewayError, invalid_argument
from gateway.server.hooks.hook import Hook

# How long the message of a call may take to come, in seconds. It is 1 MiB at most; a call without
# one is nothing but a place that is held.
MESSAGE_S = 10.0

# A shutdown does not wait as long for calls that nothing was begun for.
_MESSAGE_AT_SHUTDOWN_S = 1.0

# The refusal of a call whose message does not come.
NO_MESSAGE = "NO_MESSAGE"


class Silence(Hook):
    """A hook that knows the calls whose message has not come, and ends them after a time.

    `hurried` tells whether a shutdown waits for them. `now` is the clock by which calls begin.
    """

    def __init__(self, hurried: Callable[[], bool], now: Callable[[], float] = monotonic) -> None:
        self._hurried = hurried
        self._now = now
        # The oldest first.
        self._silent: dict[Call[Any], None] = {}

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        self._silent[call] = None

    def on_message(self, call: Call[Any], size: int) -> None:
        """See `Hook`."""
        self._silent.pop(call, None)

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        self._silent.pop(call, None)

    def end_late(self) -> None:
        """End calls whose message did not arrive in time."""
        patience = _MESSAGE_AT_SHUTDOWN_S if self._hurried() else MESSAGE_S
        began = self._now() - patience
        while self._silent:
            call = next(iter(self._silent))
            if call.began > began:
                return
            del self._silent[call]
            call.lacks_message = True
            call.end(_late)


def _late() -> GatewayError:
    violation = FieldViolation("", "the request's message did not arrive in time")
    return invalid_argument([violation], NO_MESSAGE)
