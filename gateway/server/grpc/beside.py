"""What is registered beside our own services: health and reflection, and whom they respond to."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import grpc
from grpc_health.v1 import health, health_pb2

from gateway.callers.callers import Identified
from gateway.callers.errors import UnidentifiedError
from gateway.server.grpc.reflection import reflection_handlers
from gateway.server.grpc.shell import MethodHandler, abort_arguments
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

    def handlers(
        self, servicer: Any, service_names: Iterable[str], identity: Identity | None
    ) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the handlers of both; reflection lists `service_names` and both of them."""
        checks = _health_handler(servicer)
        shown: tuple[grpc.GenericRpcHandler, ...] = ()
        if self.reflection != "off":
            shown = reflection_handlers((*service_names, health.SERVICE_NAME))
        if identity is not None and self.reflection == "callers":
            shown = tuple(_ForCallers(it, identity) for it in shown)
        if identity is not None and self.health == "callers":
            checks = _ForCallers(checks, identity)
        return (checks, *shown)


# Both respond to everybody.
OPEN = Beside()


class _ForCallers(grpc.GenericRpcHandler):
    """Another handler, which responds only to callers that are known."""

    def __init__(self, inner: grpc.GenericRpcHandler, identity: Identity) -> None:
        self._inner = inner
        self._identity = identity

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        """Return the handler of a method, None if it is not one of these."""
        handler: Any = self._inner.service(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method.removeprefix("/")
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
        if inspect.isasyncgenfunction(respond):

            async def generate(request: Any, context: Any) -> Any:
                await self._check(context, method)
                async for response in respond(request, context):
                    yield response

            return generate

        async def run(request: Any, context: Any) -> Any:
            await self._check(context, method)
            return await respond(request, context)

        return run

    async def _check(self, context: Any, method: str) -> None:
        metadata = context.invocation_metadata() or ()
        try:
            found = self._identity.caller_of(metadata, context.auth_context)
            if not isinstance(found, Identified):
                await found
            return
        except UnidentifiedError as error:
            told = abort_arguments(error_of(error, method), request_id_of(metadata))
        await context.abort(*told)


def _health_handler(servicer: Any) -> grpc.GenericRpcHandler:
    methods = {
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
    return grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods)
