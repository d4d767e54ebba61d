"""What a scenario is played on: the sandbox itself, or a gateway in front of it."""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.sandbox.delivery import Outbox
from gateway.sandbox.errors import RefusedError
from gateway.sandbox.execution import Executor
from gateway.sandbox.faults import Fault, Faults
from gateway.sandbox.membership import dismiss, hang_up
from gateway.sandbox.model import Call
from gateway.sandbox.operations import Operation
from gateway.sandbox.participants import talk
from gateway.sandbox.scenario.script import Caller
from gateway.sandbox.validation import Validation
from gateway.sandbox.world import World


class DeclinedError(Exception):
    """What a step is about cannot be done as things stand; the text says why."""


class Stage(Protocol):
    """Where people call in and commands are sent. All methods may raise DeclinedError."""

    async def call_in(self, caller: Caller) -> None:
        """Let a new call come in."""

    async def hang_up(self, call_control_id: str) -> None:
        """Let the caller hang up."""

    async def talk(self, call_control_id: str) -> bool:
        """Let the caller speak; return whether that gave them the floor."""

    async def command(
        self, operation: str, path: Mapping[str, str], body: Mapping[str, Any]
    ) -> str | None:
        """Send a command; return the id of the conference that it has made, if any."""

    async def arm(self, fault: Fault) -> None:
        """Let a fault happen from now on."""

    async def disarm(self) -> None:
        """Let no faults happen any more."""

    async def dismiss(self, call_control_id: str) -> None:
        """End the call if there is one, also where it is kept in a queue."""


class DirectStage:
    """The sandbox itself: commands as those of one more backend, which no request fault hits."""

    def __init__(
        self,
        *,
        world: World,
        operations: Mapping[str, Operation],
        validation: Validation,
        executor: Executor,
        faults: Faults,
        outbox: Outbox,
    ) -> None:
        self._world = world
        self._operations = operations
        self._validation = validation
        self._executor = executor
        self._faults = faults
        self._outbox = outbox

    async def call_in(self, caller: Caller) -> None:
        """Make a call under the caller's id."""
        reason = self._world.why_taken(caller.call_control_id)
        if reason is not None:
            raise DeclinedError(reason)
        self._world.new_call(caller.call_control_id, caller.connection_id, caller.from_, caller.to)

    async def hang_up(self, call_control_id: str) -> None:
        """End the call."""
        hang_up(self._world, self._call(call_control_id))

    async def talk(self, call_control_id: str) -> bool:
        """Let the call's participant speak."""
        return talk(self._world, self._call(call_control_id))

    async def command(
        self, operation: str, path: Mapping[str, str], body: Mapping[str, Any]
    ) -> str | None:
        """Check and carry out an operation, as if it had come over HTTP."""
        known = self._operations[operation]
        try:
            arguments = self._validation.check(known, path, body, {})
            _, shown = self._executor.execute(known, arguments)
        except RefusedError as refused:
            raise DeclinedError(str(refused)) from None
        made: str | None = ((shown or {}).get("data") or {}).get("id")
        return made

    async def arm(self, fault: Fault) -> None:
        """Arm the fault behind those that are armed already."""
        self._faults.add(fault)

    async def disarm(self) -> None:
        """Disarm all faults, and let go of webhooks that they hold back."""
        self._faults.clear()
        self._outbox.release()

    async def dismiss(self, call_control_id: str) -> None:
        """End the call and take it out of its queue."""
        call = self._world.calls.get(call_control_id)
        if call is not None:
            dismiss(self._world, call)

    def _call(self, call_control_id: str) -> Call:
        try:
            return self._world.call(call_control_id)
        except RefusedError as refused:
            raise DeclinedError(str(refused)) from None
