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
