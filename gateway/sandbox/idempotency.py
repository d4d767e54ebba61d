"""Repeats of a command under the same ``command_id`` get the first answer and run nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from gateway.sandbox.clock import Clock
from gateway.sandbox.operations import Operation
from gateway.sandbox.validation import Arguments

WINDOW_SECONDS: Final = 60.0
"""How long the provider recognises a ``command_id``."""

CAPACITY: Final = 100_000
"""Answers remembered at most, so that a flood of commands cannot exhaust memory."""

Key = tuple[str, ...]
Answer = tuple[int, Mapping[str, Any] | None]


class CommandMemory:
    """Answers given to commands in the last minute.

    Refusals are not remembered: a refused command was not executed, so its repeat is a first try.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def recall(self, operation: Operation, arguments: Arguments) -> Answer | None:
        """Find the first answer to this command, if it ran within the window."""
        key = _key(operation, arguments)
        if key is None or key not in self._answers:
            return None
        at, answer = self._answers[key]
        return answer if self._clock.now() - at < WINDOW_SECONDS else None

    def remember(self, operation: Operation, arguments: Arguments, answer: Answer) -> None:
        """Keep the answer for the window, counted from now."""
        key = _key(operation, arguments)
        if key is None:
            return
        now = self._clock.now()
        self._answers.pop(key, None)
        self._answers[key] = (now, answer)
        while self._answers:
            at, _ = next(iter(self._answers.values()))
            if now - at < WINDOW_SECONDS and len(self._answers) <= CAPACITY:
                break
            self._answers.popitem(last=False)


def _key(operation: Operation, arguments: Arguments) -> Key | None:
    """Name the endpoint, the call and conference concerned, and the command id."""
    command_id = arguments.body.get("command_id")
    if command_id is None or not operation.takes_command_id:
        return None
    call = arguments.body.get("call_control_id", "")
    return (operation.id, *arguments.path.values(), call, command_id)
