"""The paths of the console."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.conference.conferences import Conferences
from gateway.console.console import Console
from gateway.console.viewers import CrowdedError
from gateway.health.health import Report
from gateway.server.http.console.commands import ConsoleCommands
from gateway.server.http.console.gate import Admitted, Gate, RefusedError
from gateway.server.http.console.history import History
from gateway.server.http.console.streams import board_stream, conference_stream, health_of

CONSOLE_PATH = "/console"

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

# Nothing is loaded from elsewhere, nothing of it runs elsewhere, and nobody frames it.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src"
        " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

# What a page of another origin cannot send without being asked for leave (Fetch, "CORS-safelisted
# request-header"), and nobody here gives it.
_OWN_HEADER = "x-console"

# A command names a conference and some calls.
_BODY_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConsolePages:
    """What the console is served from. `about` says what is at the head of each page."""

    console: Console
    gate: Gate
    history: History
    commands: ConsoleCommands
    conferences: Conferences
    look: Callable[[], Report]
    vitals: Callable[[], dict[str, Any]]
    about: dict[str, Any]

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(CONSOLE_PATH, self._guarded(self._page)),
            Route(f"{CONSOLE_PATH}/static/{{name}}", self._guarded(self._static)),
            Route(f"{CONSOLE_PATH}/stream", self._guarded(self._stream)),
            Route(f"{CONSOLE_PATH}/conferences/{{id:path}}", self._guarded(self._conference)),
            Route(f"{CONSOLE_PATH}/events", self._guarded(self._events)),
            Route(f"{CONSOLE_PATH}/events/{{id:path}}", self._guarded(self._event)),
            Route(f"{CONSOLE_PATH}/commands", self._guarded(self._command), methods=["POST"]),
        ]

    def _guarded(
        self, respond: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                request.state.admitted = await self.gate.admit(request)
                response = await respond(request)
            except RefusedError as error:
                response = error.response
            response.headers.update(_HEADERS)
            return response

        return guarded

    async def _page(self, request: Request) -> Response:
        return _file("index.html")

    async def _static(self, request: Request) -> Response:
        return _file(request.path_params["name"])

    async def _stream(self, request: Request) -> Response:
        admitted: Admitted = request.state.admitted
        caller = admitted.caller
        open_until_sent = ExitStack()
        try:
            viewer = open_until_sent.enter_context(self.console.look())
        except CrowdedError:
            text = "so many look at the console already that nobody else can"
            raise RefusedError(503, "CROWDED", text, {}) from None
        hello = {**self.about, "caller": caller.name, "may": self.commands.may(caller)}
        stream = board_stream(self.console, viewer, hello, self._vitals, admitted.may_stay)
        return _streamed(stream, open_until_sent)

    async def _conference(self, request: Request) -> Response:
        admitted: Admitted = request.state.admitted
        stream = conference_stream(
            self.conferences, request.path_params["id"], admitted.caller.name, admitted.may_stay
        )
        return _streamed(stream, ExitStack())

    async def _events(self, request: Request) -> Response:
        return JSONResponse(await self.history.page(request.query_params))

    async def _event(self, request: Request) -> Response:
        return JSONResponse(await self.history.event(request.path_params["id"]))

    async def _command(self, request: Request) -> Response:
        if _OWN_HEADER not in request.headers:
            raise RefusedError(403, "NOT_THE_CONSOLE", f"send the header {_OWN_HEADER}", {})
        body = await request.body()
        if len(body) > _BODY_MAX:
            raise RefusedError(413, "TOO_LARGE", f"more than {_BODY_MAX} bytes", {})
        try:
            asked = await request.json()
            name, fields = asked["rpc"], asked["request"]
        except (ValueError, KeyError, TypeError):
            text = 'send {"rpc": ..., "request": {...}}'
            raise RefusedError(400, "INVALID_REQUEST", text, {}) from None
        caller = request.state.admitted.caller
        return JSONResponse(await self.commands.send(caller, str(name), fields))

    def _vitals(self) -> dict[str, Any]:
        return self.vitals() | {"health": health_of(self.look())}


def _streamed(stream: AsyncIterator[bytes], held: ExitStack) -> Response:
    async def sent() -> AsyncIterator[bytes]:
        with held:
            async for piece in stream:
                yield piece

    return StreamingResponse(sent(), media_type="text/event-stream")


@cache
def _content(name: str) -> bytes:
    """Return a file of the page. Raises FileNotFoundError."""
    folder = files("gateway.server.http.console") / "static"
    found = next((it for it in folder.iterdir() if it.name == name and it.is_file()), None)
    if found is None:
        raise FileNotFoundError(name)
    return found.read_bytes()


def _file(name: str) -> Response:
    try:
        content = _content(name)
    except FileNotFoundError:
        text = f"the console has no file {name}"
        raise RefusedError(404, "NOT_FOUND", text, {}) from None
    return Response(content, media_type=_TYPES.get(name.rpartition(".")[2]))
