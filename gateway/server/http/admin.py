"""What operators and their machines ask for: health, readiness and metrics."""

from collections.abc import Callable
from time import perf_counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.server.http.server import Application
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics

# The share of the event loop's time that writing metrics may take, and how much of it, in seconds,
# may come at once. A scrape takes some milliseconds every few seconds; who asks for more
# gets what was written last.
METRICS_SHARE = 0.02
_METRICS_AT_ONCE_S = 0.1

_PATHS = "/healthz, /readyz and /metrics"


class MetricsPage:
    """What is written by `write`, anew as often as there is time for it.

    `now` is a clock in seconds that is never set back.
    """

    def __init__(self, write: Callable[[], bytes], now: Callable[[], float] = perf_counter) -> None:
        self._write = write
        self._now = now
        self._written = b""
        self._looked_at = now()
        # Seconds that writing may take now.
        self._spare = _METRICS_AT_ONCE_S

    def text(self) -> bytes:
        """Return the page."""
        began = self._now()
        earned = (began - self._looked_at) * METRICS_SHARE
        self._spare = min(self._spare + earned, _METRICS_AT_ONCE_S)
        self._looked_at = began
        if self._spare > 0:
            self._written = self._write()
            self._spare -= self._now() - began
        return self._written


def admin_app(metrics: Metrics, not_ready: Callable[[], str | None]) -> Application:
    """Return the application. `not_ready` says why the gateway is not ready, None if it is."""
    page = MetricsPage(metrics.text)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        reason = not_ready()
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", 503)

    async def show_metrics(request: Request) -> Response:
        return Response(page.text(), media_type=CONTENT_TYPE)

    async def not_found(request: Request, error: Exception) -> Response:
        text = f"no such path; there are {_PATHS}"
        return JSONResponse({"error": {"reason": "NOT_FOUND", "message": text}}, 404)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={404: not_found},
    )
