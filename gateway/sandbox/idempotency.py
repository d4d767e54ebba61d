"""Retries of a command under the same `command_id` get the first response and run nothing."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.sandbox.clock import Clock
from gateway.sandbox.operations import Operation
from gateway.sandbox.validation import Arguments

# How long the provider recognises a `command_id`.
_WINDOW_S = 60.0

# Responses remembered at most, so that a flood of commands cannot exhaust memory.
_REMEMBERED_MAX = 100_000

Key = tuple[str, ...]


class Response(NamedTuple):
    """The response to a command. One of status 204 has no body."""

    status: int
    body: Mapping[str, Any] | None


class CommandMemory:
    """Responses to commands in the last minute.

    Refusals are not remembered: a refused command was not executed, so its retry is a first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._responses: OrderedDict[Key, tuple[float, Response]] = OrderedDict()

    def recall(self, operation: Operation, arguments: Arguments) -> Response | None:
        """Return the first response to this command, None unless it ran within the window."""
        key = _key(operation, arguments)
        if key is None or key not in self._responses:
            return None
        at, response = self._responses[key]
        return response if self._clock.now() - at < _WINDOW_S else None

    def remember(self, operation: Operation, arguments: Arguments, response: Response) -> None:
        """Keep the response for the window, counted from now."""
        key = _key(operation, arguments)
        if key is None:
            return
        now = self._clock.now()
        self._responses.pop(key, None)
        self._responses[key] = (now, response)
        while self._responses:
            at, _ = next(iter(self._responses.values()))
            if now - at < _WINDOW_S and len(self._responses) <= _REMEMBERED_MAX:
                break
            self._responses.popitem(last=False)


def _key(operation: Operation, arguments: Arguments) -> Key | None:
    """Return the endpoint, the call and conference concerned, and the command id."""
    command_id = arguments.body.get("command_id")
    if command_id is None or not operation.takes_command_id:
        return None
    call = arguments.body.get("call_control_id", "")
    return (operation.id, *arguments.path.values(), call, command_id)
