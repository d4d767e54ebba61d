"""What is registered beside our own services: health and reflection, and whom they respond to."""

import asyncio
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import grpc
from grpc_health.v1 import health, health_pb2

from gateway.callers.callers import Identified
from gateway.callers.errors import UnidentifiedError
from gateway.server.grpc.reflection import reflection_methods
from gateway.server.grpc.shell import MethodHandler, Methods, abort_arguments
from gateway.server.hooks.identity import Identity
from gateway.server.request_ids import request_id_of
from gateway.server.statuses import error_of


@dataclass(frozen=True, slots=True)
class Beside:
    """Whom health and reflection respond to: to everybody, to known callers of any role, to nobody.

    Both stay outside the shell, because they must respond when nothing else does.
    """

    health: Literal["open", "callers"] = "open"
    reflection: Literal["open", "callers", "off"] = "open"

    def methods(
        self, servicer: Any, service_names: Iterable[str], identity: Identity | None
    ) -> Methods:
        """Return the methods of both; reflection lists `service_names` and both of them."""
        checks: Methods = {health.SERVICE_NAME: _health_methods(servicer)}
        shown: Methods = {}
        if self.reflection != "off":
            shown = reflection_methods((*service_names, health.SERVICE_NAME))
        if identity is not None and self.reflection == "callers":
            shown = _ForCallers(identity).methods(shown)
        if identity is not None and self.health == "callers":
            checks = _ForCallers(identity).methods(checks)
        return {**checks, **shown}


# Both respond to everybody.
OPEN = Beside()


class _ForCallers:
    """Makes of methods others, which respond only to callers that are known."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def methods(self, inner: Methods) -> Methods:
        """Return the methods that stand for others."""
        return {
            service: {
                name: self._handler(f"{service}/{name}", handler)
                for name, handler in methods.items()
            }
            for service, methods in inner.items()
        }

    def _handler(self, method: str, handler: Any) -> MethodHandler:
        arity = "_".join(
            "stream" if streams else "unary"
            for streams in (handler.request_streaming, handler.response_streaming)
        )
        known = self._known(getattr(handler, arity), method)
        made: MethodHandler = getattr(grpc, f"{arity}_rpc_method_handler")(
            known, handler.request_deserializer, handler.response_serializer
        )
        return made

    def _known(self, respond: Any, method: str) -> Any:
        async def run(request: Any, context: Any) -> Any:
            metadata = context.invocation_metadata() or ()
            try:
                found = self._identity.caller_of(metadata, context.auth_context)
                identified = found if isinstance(found, Identified) else await found
                return await self._while_known(respond, request, context, identified)
            except UnidentifiedError as error:
                told = abort_arguments(error_of(error, method), request_id_of(metadata))
            await context.abort(*told)

        return run

    async def _while_known(
        self, respond: Any, request: Any, context: Any, identified: Identified
    ) -> Any:
        """Respond until the caller is none any more. Raises UnidentifiedError then."""
        task, ended = asyncio.current_task(), list[UnidentifiedError]()
        assert task is not None

        def end(error: UnidentifiedError) -> None:
            ended.append(error)
            task.cancel()

        try:
            with self._identity.kept(identified, end):
                if not inspect.isasyncgenfunction(respond):
                    return await respond(request, context)
                async for response in respond(request, context):
                    await context.write(response)
        except asyncio.CancelledError:
            if not ended:
                raise
            raise ended[0] from None
        return None


def _health_methods(servicer: Any) -> dict[str, MethodHandler]:
    return {
        "Check": grpc.unary_unary_rpc_method_handler(
            servicer.Check,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        ),
        "List": grpc.unary_unary_rpc_method_handler(
            servicer.List,
            health_pb2.HealthListRequest.FromString,
            health_pb2.HealthListResponse.SerializeToString,
        ),
        "Watch": grpc.unary_stream_rpc_method_handler(
            servicer.Watch,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        ),
    }
