"""The control API, below `/_sandbox`: everything a test or a person does to the sandbox itself.

It takes no key. Errors are `{"error": "<what was wrong and what to do>"}`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox import faults
from gateway.sandbox.clock import Clock, ManualClock
from gateway.sandbox.delivery import Outbox
from gateway.sandbox.errors import RefusedError
from gateway.sandbox.faults import Faults
from gateway.sandbox.http import response
from gateway.sandbox.journal import Journal
from gateway.sandbox.membership import dismiss, hang_up
from gateway.sandbox.model import Call
from gateway.sandbox.participants import talk
from gateway.sandbox.scenario.library import shipped_names, shipped_script
from gateway.sandbox.scenario.plays import Plays
from gateway.sandbox.scenario.problems import ScenarioError
from gateway.sandbox.scenario.reading import read_script
from gateway.sandbox.world import World

# Real seconds that moving the clock waits for webhooks in flight, at each timer.
_SETTLE_MAX_S = 30.0

_WAIT_MAX_S = 600.0

Endpoint = Callable[[Request], Awaitable[Any]]
Endpoints = tuple[tuple[str, str, Endpoint], ...]


class ImpossibleError(Exception):
    """The control request cannot be carried out."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ControlApi:
    """The endpoints of the control API."""

    def __init__(
        self,
        *,
        clock: Clock,
        world: World,
        outbox: Outbox,
        armed: Faults,
        journal: Journal,
        public_key: str,
        plays: Plays,
    ) -> None:
        self._clock = clock
        self._world = world
        self._outbox = outbox
        self._faults = armed
        self._journal = journal
        self._public_key = public_key
        self._plays = plays

    def app(self) -> Starlette:
        """Build the application that serves the endpoints."""
        call = "/_sandbox/calls/{call_control_id}"
        table: Endpoints = (
            ("GET", "/_sandbox/health", self._health),
            ("POST", "/_sandbox/calls", self._create_call),
            ("GET", "/_sandbox/calls", self._list_calls),
            ("GET", call, self._retrieve_call),
            ("DELETE", call, self._dismiss),
            ("POST", f"{call}/hangup", self._hang_up),
            ("POST", f"{call}/talk", self._talk),
            ("POST", "/_sandbox/clock/advance", self._advance),
            ("GET", "/_sandbox/requests", self._list_requests),
            ("DELETE", "/_sandbox/requests", self._clear_requests),
            ("GET", "/_sandbox/executions", self._list_executions),
            ("POST", "/_sandbox/faults", self._add_fault),
            ("GET", "/_sandbox/faults", self._list_faults),
            ("DELETE", "/_sandbox/faults", self._clear_faults),
            ("GET", "/_sandbox/public_key", self._key),
            ("PUT", "/_sandbox/webhook_url", self._set_webhook_url),
            ("GET", "/_sandbox/deliveries/pending", self._pending),
            ("POST", "/_sandbox/play", self._play),
            ("GET", "/_sandbox/play", self._what_plays),
            ("DELETE", "/_sandbox/play", self._stop_playing),
        )
        return Starlette(
            routes=[
                Route("/_sandbox", _responding(_index(table))),
                *(Route(path, _responding(end), methods=[method]) for method, path, end in table),
            ]
        )

    async def _health(self, _: Request) -> Any:
        return {"status": "ok", "now": self._clock.now()}

    async def _create_call(self, request: Request) -> Any:
        body = await _body(request)
        for name, value in body.items():
            if value is not None and not isinstance(value, str):
                raise ImpossibleError(400, f"'{name}' must be a string, got {value!r}")
        wanted = body.get("call_control_id")
        reason = self._world.why_taken(wanted) if wanted else None
        if reason is not None:
            raise ImpossibleError(409, reason)
        return _view(
            self._world.new_call(
                wanted, body.get("connection_id"), body.get("from"), body.get("to")
            )
        )

    async def _list_calls(self, _: Request) -> Any:
        return {"calls": [_view(it) for it in self._world.calls.values()]}

    async def _retrieve_call(self, request: Request) -> Any:
        return _view(self._call(request))

    async def _hang_up(self, request: Request) -> Any:
        call = self._call(request)
        hang_up(self._world, call)
        return _view(call)

    async def _dismiss(self, request: Request) -> Any:
        """End the call if there is one, also where it is kept in a queue."""
        call = self._world.calls.get(request.path_params["call_control_id"])
        if call is not None:
            dismiss(self._world, call)

    async def _talk(self, request: Request) -> Any:
        return {"floor_changed": talk(self._world, self._call(request))}

    async def _advance(self, request: Request) -> Any:
        seconds = (await _body(request)).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise ImpossibleError(400, f"'seconds' must be a number of at least 0, got {seconds!r}")
        if not isinstance(self._clock, ManualClock):
            raise ImpossibleError(
                409, "this sandbox runs on the real clock; start it with manual_clock=True"
            )
        await self._clock.advance(seconds, self._settle)
        return {"now": self._clock.now()}

    async def _list_requests(self, request: Request) -> Any:
        wanted = request.query_params.get("operation")
        found = [asdict(it) for it in self._journal.requests if wanted in (None, it.operation)]
        return {"count": len(found), "requests": found}

    async def _clear_requests(self, _: Request) -> Any:
        self._journal.clear()

    async def _list_executions(self, request: Request) -> Any:
        wanted = request.query_params.get("operation")
        found = [asdict(it) for it in self._journal.executions if wanted in (None, it.operation)]
        return {"count": len(found), "executions": found}

    async def _add_fault(self, request: Request) -> Any:
        try:
            fault = faults.from_json(await _body(request))
        except ValueError as failure:
            raise ImpossibleError(400, str(failure)) from failure
        self._faults.add(fault)
        return faults.to_json(fault)

    async def _list_faults(self, _: Request) -> Any:
        return {"faults": self._faults.listing()}

    async def _clear_faults(self, _: Request) -> Any:
        self._faults.clear()
        self._outbox.release()

    async def _key(self, _: Request) -> Any:
        return {"public_key": self._public_key}

    async def _set_webhook_url(self, request: Request) -> Any:
        body = await _body(request)
        for name in ("url", "failover_url"):
            url = body.get(name)
            if url is not None and not str(url).startswith(("http://", "https://")):
                raise ImpossibleError(
                    400, f"'{name}' must begin with http:// or https://, got {url!r}"
                )
        self._outbox.destination.url = body.get("url")
        self._outbox.destination.failover_url = body.get("failover_url")
        return {"url": body.get("url"), "failover_url": body.get("failover_url")}

    async def _pending(self, request: Request) -> Any:
        """Count what is pending.

        With `?wait=seconds` it waits for zero; with `&until=idle`, until only the clock can
        make more happen.
        """
        try:
            wait = float(request.query_params.get("wait", "0"))
        except ValueError as failure:
            raise ImpossibleError(400, "'wait' must be a number of seconds") from failure
        until = request.query_params.get("until", "delivered")
        if until not in ("delivered", "idle"):
            raise ImpossibleError(400, f"'until' must be 'delivered' or 'idle', got {until!r}")
        if wait > 0:
            limit = min(wait, _WAIT_MAX_S)
            await self._outbox.wait(limit, until_idle=until == "idle")
        return {"pending": self._outbox.pending, "idle": self._outbox.idle}

    async def _play(self, request: Request) -> Any:
        """Start a scenario: `scenario` names one of the package, `toml` is the text of another."""
        body = await _body(request)
        name, text, loop = body.get("scenario"), body.get("toml"), body.get("loop", False)
        if (name is None) == (text is None) or not isinstance(loop, bool):
            raise ImpossibleError(400, "give 'scenario' or 'toml', and 'loop' as true or false")
        try:
            script = shipped_script(str(name)) if text is None else read_script(str(text), "toml")
        except KeyError:
            there = ", ".join(shipped_names())
            raise ImpossibleError(
                404, f"no scenario is called {name!r}; there is {there}"
            ) from None
        except ScenarioError as error:
            raise ImpossibleError(400, str(error)) from None
        self._plays.play(script, loop=loop)
        return self._plays.view()

    async def _what_plays(self, _: Request) -> Any:
        return self._plays.view() or {"state": "idle"}

    async def _stop_playing(self, _: Request) -> Any:
        await self._plays.stop()

    async def _settle(self) -> None:
        await self._plays.settled()
        await self._outbox.wait(_SETTLE_MAX_S, until_idle=True)

    def _call(self, request: Request) -> Call:
        wanted = request.path_params["call_control_id"]
        try:
            return self._world.call(wanted)
        except RefusedError as refused:
            raise ImpossibleError(404, str(refused)) from refused


def _responding(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            body = await endpoint(request)
        except ImpossibleError as impossible:
            return response(impossible.status, {"error": str(impossible)})
        return response(204 if body is None else 200, body)

    return respond


def _index(table: Endpoints) -> Endpoint:
    async def index(_: Request) -> Any:
        return {"endpoints": [f"{method} {path}" for method, path, _ in table]}

    return index


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    if not content.strip():
        return {}
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as failure:
        raise ImpossibleError(400, f"the body is not JSON: {failure}") from failure
    if not isinstance(value, dict):
        raise ImpossibleError(400, "the body must be a JSON object")
    return value


def _view(call: Call) -> dict[str, Any]:
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": call.call_leg_id,
        "call_session_id": call.call_session_id,
        "connection_id": call.connection_id,
        "from": call.caller,
        "to": call.callee,
        "state": "active" if call.ended_at is None else "ended",
        "client_state": call.client_state,
        "conference_id": call.conference_id,
        "queue_name": call.queue_name,
    }
