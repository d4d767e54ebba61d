"""What is asked over HTTP: is the process alive, and is it ready."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.health.health import Report

_JSON = "application/json"


def health_routes(
    look: Callable[[], Report],
    dead: Callable[[], str | None],
    about: Mapping[str, str] = MappingProxyType({}),
) -> list[Route]:
    """Return `/healthz` and `/readyz`, whose JSON has what `about` says of the gateway, too.

    `look` says what is known of the gateway's health now. `dead` says what has ended of the process
    that only a restart brings back, None if nothing has. That the event loop runs is shown by the
    response itself.
    """

    async def healthz(request: Request) -> Response:
        reason = dead()
        if reason is None:
            return PlainTextResponse("ok\n")
        return PlainTextResponse(f"not alive: {reason}\n", 503)

    async def readyz(request: Request) -> Response:
        report = look()
        status = 200 if report.ready else 503
        if _JSON in request.headers.get("accept", ""):
            return JSONResponse({**about, **_document(report)}, status)
        lines = [f"not ready: {reason}\n" for reason in report.reasons]
        return PlainTextResponse("".join(lines) or "ready\n", status)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _document(report: Report) -> dict[str, Any]:
    return {
        "ready": report.ready,
        "components": [
            {
                "name": state.name,
                "ok": state.ok,
                "reason": state.reason,
                "for_seconds": round(report.at - state.since, 1),
            }
            for state in report.states
        ],
        "services": dict(report.services),
    }
