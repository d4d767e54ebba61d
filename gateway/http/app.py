"""The HTTP application: four addresses."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.webhooks.receiver import WEBHOOK_PATH, Receive, Scope, Send, WebhookReceiver

_SLASHES = re.compile("/{2,}")

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def http_app(
    receiver: WebhookReceiver, metrics: Metrics, not_ready: Callable[[], str | None]
) -> Application:
    """Return the application. `not_ready` says why the gateway is not ready, None if it is."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        reason = not_ready()
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", 503)

    async def show_metrics(request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    async def not_found(request: Request, error: Exception) -> Response:
        text = f"there is nothing at this address; webhooks are received at {WEBHOOK_PATH}"
        return JSONResponse({"error": {"reason": "NOT_FOUND", "message": text}}, 404)

    others = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={404: not_found},
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Of every method, so that the receiver can say what is wrong with it.
        if scope["type"] == "http" and _is_for_webhooks(scope["path"]):
            await receiver(scope, receive, send)
        else:
            await others(scope, receive, send)

    return application


def _is_for_webhooks(path: str) -> bool:
    # An address that was put together from parts often has a slash too many.
    return path == WEBHOOK_PATH or _SLASHES.sub("/", path).rstrip("/") == WEBHOOK_PATH
