"""The HTTP application: four addresses."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.webhooks.receiver import WebhookReceiver

WEBHOOK_PATH = "/webhooks/telnyx"

_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def http_app(
    receiver: WebhookReceiver, metrics: Metrics, not_ready: Callable[[], str | None]
) -> Starlette:
    """Return the application. `not_ready` says why the gateway is not ready, None if it is."""

    async def webhook(request: Request) -> Response:
        return await receiver(request)

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

    return Starlette(
        routes=[
            # Every method, so that the receiver can say what is wrong with it.
            Route(WEBHOOK_PATH, webhook, methods=_ALL_METHODS),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={404: not_found},
    )
