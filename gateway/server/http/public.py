"""What the provider reaches from the internet: the webhooks' path, and nothing else."""

import re

from starlette.responses import JSONResponse

from gateway.ingest.webhooks.receiver import WEBHOOK_PATH, Receive, Scope, Send, WebhookReceiver
from gateway.server.http.server import Application

_SLASHES = re.compile("/{2,}")

_NOT_FOUND = (
    f"no such path; post webhooks to {WEBHOOK_PATH}; health and metrics are on the admin address"
    " (GATEWAY_ADMIN_ADDRESS)"
)


def public_app(receiver: WebhookReceiver) -> Application:
    """Return the application."""
    # Made once: who asks for paths that are not here should cost little.
    not_found = JSONResponse({"error": {"reason": "NOT_FOUND", "message": _NOT_FOUND}}, 404)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Of every method, so that the receiver can say what is wrong with it.
        if _is_for_webhooks(scope["path"]):
            await receiver(scope, receive, send)
            return
        await not_found(scope, receive, send)

    return application


def _is_for_webhooks(path: str) -> bool:
    # An address that was put together from parts often has a slash too many.
    return path == WEBHOOK_PATH or _SLASHES.sub("/", path).rstrip("/") == WEBHOOK_PATH
