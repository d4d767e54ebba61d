"""Commands from the console: those that a caller's role allows, if a setting allows any."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from gateway.callers.caller import Caller
from gateway.deadline import Deadline
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.rest import Safety
from gateway.server.http.console.gate import RefusedError
from gateway.upstream.bound import BoundOperation
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import UpstreamError

# How long a command may take, in seconds: somebody looks at a button meanwhile.
_TIMEOUT_S = 15.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsoleCommands:
    """Sends commands as their RPCs would.

    `operations` are those of the command services by the names of their RPCs, and `roles` what each
    needs. `accepted` is given the request of each command that the provider accepted.
    """

    operations: Mapping[str, BoundOperation]
    roles: Mapping[str, int]
    client: TelnyxClient
    accepted: Callable[[Message], None]
    are_allowed: bool

    def may(self, caller: Caller) -> list[str]:
        """Return the names of the commands that a caller may send."""
        if not self.are_allowed:
            return []
        return sorted(
            name
            for name, operation in self.operations.items()
            if operation.safety is not Safety.READ and caller.role >= self.roles[name]
        )

    async def send(self, caller: Caller, name: str, fields: Any) -> dict[str, Any]:
        """Send a command; returns its response as JSON has it. Raises RefusedError."""
        if name not in self.may(caller):
            text = (
                f"the role of {caller.name or 'everybody'} does not allow {name}"
                if self.are_allowed
                else "set GATEWAY_CONSOLE=commands to send commands from the console"
            )
            raise RefusedError(403, "COMMAND_NOT_ALLOWED", text, {})
        operation = self.operations[name]
        request = operation.binding.request_class()
        try:
            ParseDict(fields, request)
        except ParseError as error:
            raise RefusedError(400, "INVALID_REQUEST", str(error), {}) from None
        who = caller.name or "somebody on this host"
        try:
            response: Any = await self.client.call(operation, request, Deadline.after(_TIMEOUT_S))
        except InvalidRequestError as error:
            raise RefusedError(400, "INVALID_REQUEST", str(error), {}) from None
        except UpstreamError as error:
            _log.warning("console: %s by %s failed: %s", name, who, error)
            raise RefusedError(502, error.reason.name, error.message, {}) from None
        _log.info("console: %s by %s: %s", name, who, fields)
        self.accepted(request)
        found: dict[str, Any] = MessageToDict(response, preserving_proto_field_name=True)
        return found
