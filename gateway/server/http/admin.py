"""What operators and their machines ask for: health, readiness and metrics."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from types import MappingProxyType
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.health.health import Report
from gateway.server.http.health import health_routes
from gateway.server.http.server import Application
from gateway.telemetry.instruments import content_type, takes_openmetrics
from gateway.telemetry.metrics import Metrics

# The share of the event loop's time that writing metrics may take, and how much of it, in seconds,
# may come at once. A scrape takes some milliseconds every few seconds; who asks for more
# gets what was written last.
METRICS_SHARE = 0.02
_METRICS_AT_ONCE_S = 0.1

_PATHS = "/healthz, /readyz, /metrics and, unless it is off, /console"


class Write(Protocol):
    """Writes all metrics."""

    def __call__(self, *, openmetrics: bool) -> bytes:
        """Return them as text, in the OpenMetrics format or in the older one."""


class MetricsPage:
    """What is written by `write`, in each format, anew as often as there is time for it.

    `now` is a clock in seconds that is never set back.
    """

    def __init__(self, write: Write, now: Callable[[], float] = perf_counter) -> None:
        self._write = write
        self._now = now
        # By whether it is in the OpenMetrics format.
        self._written: dict[bool, bytes] = {}
        self._looked_at = now()
        # Seconds that writing may take now.
        self._spare = _METRICS_AT_ONCE_S

    def text(self, *, openmetrics: bool = False) -> bytes:
        """Return the page in one of the formats."""
        began = self._now()
        earned = (began - self._looked_at) * METRICS_SHARE
        self._spare = min(self._spare + earned, _METRICS_AT_ONCE_S)
        self._looked_at = began
        if self._spare > 0 or openmetrics not in self._written:
            self._written[openmetrics] = self._write(openmetrics=openmetrics)
            self._spare -= self._now() - began
        return self._written[openmetrics]


def admin_app(
    metrics: Metrics,
    look: Callable[[], Report],
    dead: Callable[[], str | None],
    others: Sequence[Route] = (),
    about: Mapping[str, str] = MappingProxyType({}),
) -> Application:
    """Return the application, with `others` beside. For the rest see `health_routes`."""
    page = MetricsPage(metrics.text)

    async def show_metrics(request: Request) -> Response:
        openmetrics = takes_openmetrics(request.headers.get("accept", ""))
        text = page.text(openmetrics=openmetrics)
        return Response(text, headers={"content-type": content_type(openmetrics=openmetrics)})

    async def not_found(request: Request, error: Exception) -> Response:
        text = f"no such path; there are {_PATHS}"
        return JSONResponse({"error": {"reason": "NOT_FOUND", "message": text}}, 404)

    return Starlette(
        routes=[
            *health_routes(look, dead, about),
            Route("/metrics", show_metrics),
            *others,
        ],
        exception_handlers={404: not_found},
    )
