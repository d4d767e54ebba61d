"""A scenario's commands, sent through a gateway as a backend sends them.

So they are among the gateway's own commands: its console shows who is muted, the faults of a
scenario hit them, and they are retried as any other.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
import orjson

from gateway.sandbox import ControlError, SandboxControl
from gateway.sandbox.faults import Fault
from gateway.sandbox.operations import Operation, load_operations
from gateway.sandbox.scenario.script import Caller
from gateway.sandbox.scenario.stage import DeclinedError
from gateway.schema.binding import Binding, compile_services
from gateway.schema.decoder import MessageDecoder, MismatchError
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.services import COMMAND_SERVICES

T = TypeVar("T")

# How long a command may take, in real seconds.
_TIMEOUT_S = 15.0


class GatewayStage:
    """A sandbox, commanded through a gateway on `channel`; people act in the sandbox itself."""

    def __init__(self, channel: grpc.aio.Channel, control: SandboxControl) -> None:
        self._channel = channel
        self._control = control
        bindings = {
            (it.http_method, _shape(it.path.template)): it
            for it in compile_services(COMMAND_SERVICES)
        }
        operations = load_operations()
        self._operations = {it.id: it for it in operations}
        self._bindings = {
            it.id: bindings[it.method, _shape(it.path)]
            for it in operations
            if (it.method, _shape(it.path)) in bindings
        }

    @property
    def rpcs(self) -> Mapping[str, str]:
        """The names of the RPCs, by the operations that they are bound to."""
        return {id_: binding.name for id_, binding in self._bindings.items()}

    async def call_in(self, caller: Caller) -> None:
        """Make a call under the caller's id."""
        await _declining(
            lambda: self._control.create_call(
                call_control_id=caller.call_control_id,
                caller=caller.from_,
                callee=caller.to,
                connection_id=caller.connection_id,
            )
        )

    async def hang_up(self, call_control_id: str) -> None:
        """End the call."""
        await _declining(lambda: self._control.hang_up(call_control_id))

    async def talk(self, call_control_id: str) -> bool:
        """Let the call's participant speak."""
        return await _declining(lambda: self._control.talk(call_control_id))

    async def command(
        self, operation: str, path: Mapping[str, str], body: Mapping[str, Any]
    ) -> str | None:
        """Call the RPC that is bound to the operation."""
        binding = self._bindings[operation]
        request = _request(binding, self._operations[operation], path, body)
        rpc = self._channel.unary_unary(
            binding.rpc_path,
            request_serializer=binding.request_class.SerializeToString,
            response_deserializer=binding.response_class.FromString,
        )
        try:
            response = await rpc(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise DeclinedError(f"{error.code().name}: {error.details()}") from None
        made = getattr(response, "conference", None)
        return None if made is None else str(made.id)

    async def arm(self, fault: Fault) -> None:
        """Arm the fault behind those that are armed already."""
        await _declining(lambda: self._control.add_fault(fault))

    async def disarm(self) -> None:
        """Disarm all faults, and let go of webhooks that they hold back."""
        await _declining(self._control.clear_faults)

    async def dismiss(self, call_control_id: str) -> None:
        """End the call and take it out of its queue."""
        await _declining(lambda: self._control.dismiss(call_control_id))


async def _declining(action: Callable[[], T]) -> T:
    """Have the sandbox do something, while others have their turn."""
    try:
        return await asyncio.to_thread(action)
    except ControlError as error:
        raise DeclinedError(error.reason) from None
    except OSError as error:
        raise DeclinedError(f"the sandbox cannot be reached: {error}") from None


def _shape(path: str) -> str:
    """Return a path whose placeholders have no names."""
    return re.sub(r"\{\w+\}", "{}", path)


def _request(
    binding: Binding, operation: Operation, path: Mapping[str, str], body: Mapping[str, Any]
) -> Any:
    """Return the request that the gateway makes into this operation. Raises DeclinedError."""
    try:
        request: Any = MessageDecoder(binding.request_class).decode(dict(body))
        for field, placeholder in zip(binding.path.fields, operation.placeholders, strict=True):
            setattr(request, field, path[placeholder])
        sent = binding.prepare(request)
    except (MismatchError, InvalidRequestError) as error:
        raise DeclinedError(f"{binding.name} cannot say this: {error}") from None
    told = orjson.loads(sent.body) if sent.body else {}
    if not body.items() <= told.items():
        lost = ", ".join(name for name in body if told.get(name) != body[name])
        raise DeclinedError(f"{binding.name} cannot say this: {lost}")
    return request
