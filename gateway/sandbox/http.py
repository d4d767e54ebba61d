"""The sandbox as an ASGI application: `/v2` is the provider, `/_sandbox` the control API."""

import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox import errors
from gateway.sandbox.clock import Clock, sleep
from gateway.sandbox.errors import Code, Problem, RefusedError, refusal
from gateway.sandbox.execution import Executor
from gateway.sandbox.faults import Faults, RequestFault
from gateway.sandbox.journal import Journal, RecordedRequest
from gateway.sandbox.routes import Match, Routes
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.validation import Validation

# Bytes of a request body; no command of the provider comes near it.
_BODY_BYTES_MAX = 1024 * 1024

# What a 429 on demand names as the time to wait, unless its headers say otherwise.
_RATE_LIMIT_WINDOW_S = 1

# Status, body and headers.
_Response: TypeAlias = tuple[int, Any, dict[str, str]]

# Where the server puts the connection, in the state of the request.
TRANSPORT = "sandbox.transport"


class DroppedError(Exception):
    """The connection is to be closed without a response."""


class ProviderApi:
    """Serves requests below `/v2` as the provider would, faults included."""

    def __init__(
        self,
        *,
        settings: SandboxSettings,
        clock: Clock,
        routes: Routes,
        validation: Validation,
        executor: Executor,
        faults: Faults,
        journal: Journal,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._routes = routes
        self._validation = validation
        self._executor = executor
        self._faults = faults
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or close its connection."""
        request = Request(scope, receive)
        raw_path: str = scope["raw_path"].decode("ascii", "replace")
        record = RecordedRequest(
            at=self._clock.now(),
            method=request.method,
            path=raw_path,
            query=scope["query_string"].decode("ascii", "replace"),
            # The journal is long and its headers much alike: equal texts are kept once.
            headers=tuple(
                (sys.intern(name), sys.intern(value))
                for name, value in request.headers.items()
                if name != "authorization"
            ),
            request_id=str(uuid.uuid4()),
        )
        self._journal.requests.append(record)
        try:
            status, body, headers = await self._respond(request, record, raw_path)
        except RefusedError as refused:
            status, body, headers = refused.status, refused.body(), {}
        except DroppedError:
            await _drop(scope, receive)
            return
        record.status = status
        headers["x-request-id"] = record.request_id
        if status == errors.METHOD_NOT_ALLOWED.status:
            headers["allow"] = ", ".join(self._routes.methods(raw_path))
        await response(status, body, headers)(scope, receive, send)

    async def _respond(self, request: Request, record: RecordedRequest, raw_path: str) -> _Response:
        content = await _content(request)
        self._authenticate(request.headers.get("authorization", ""))
        match = self._routes.find(request.method, raw_path)
        record.operation = match.operation.id
        body: Any = None
        broken: RefusedError | None = None
        try:
            body = record.body = _parsed(content)
        except RefusedError as refused:
            broken = refused
        fault = self._faults.on_request(match.operation.id, match.path, body)
        if fault is not None and fault.when == "before":
            changed = await self._suffer(fault)
            if changed is not None:
                return changed
        if broken is not None:
            raise broken
        regular = self._execute(match, body or {}, record.query)
        if fault is not None and fault.when == "after":
            changed = await self._suffer(fault)
            if changed is not None:
                return changed
        return regular

    def _execute(self, match: Match, body: Mapping[str, Any], query: str) -> _Response:
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        try:
            arguments = self._validation.check(match.operation, match.path, body, parameters)
            status, shown = self._executor.execute(match.operation, arguments)
        except RefusedError as refused:
            return refused.status, refused.body(), {}
        return status, shown, {}

    def _authenticate(self, header: str) -> None:
        scheme, _, key = header.partition(" ")
        key = key.strip()
        accepted = self._settings.api_keys
        if scheme.lower() != "bearer" or not key:
            raise refusal(
                errors.AUTHENTICATION_FAILED,
                "No API key found. Send it as 'Authorization: Bearer <key>'.",
            )
        if key in self._settings.rejected_api_keys or (accepted and key not in accepted):
            raise refusal(errors.AUTHENTICATION_FAILED, "The API key is not valid.")

    async def _suffer(self, fault: RequestFault) -> _Response | None:
        """Wait as the fault says; return the response it gives instead of the real one, if any."""
        await sleep(self._clock, fault.delay_seconds)
        if fault.drop:
            raise DroppedError
        if fault.status is None:
            return None
        headers = {name.lower(): str(value) for name, value in fault.headers.items()}
        body = fault.body
        if fault.status in (204, 304):
            body = None
        elif body is None and fault.status >= 400:
            body = RefusedError([Problem(_code(fault.status), "A fault was asked for.")]).body()
        if fault.status == errors.TOO_MANY_REQUESTS.status:
            reset = str(int(time.time()) + _RATE_LIMIT_WINDOW_S)
            headers.setdefault("x-ratelimit-reset", reset)
        return fault.status, body, headers


def response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response: no content for None, a web page for a text, JSON for all else."""
    if body is None:
        return Response(status_code=status, headers=dict(headers or {}))
    if isinstance(body, str):
        return Response(body, status, headers=dict(headers or {}), media_type="text/html")
    return Response(
        orjson.dumps(body), status, headers=dict(headers or {}), media_type="application/json"
    )


async def _content(request: Request) -> bytes:
    """Return the request's body. Raises RefusedError if it is too large."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > _BODY_BYTES_MAX:
            raise refusal(
                errors.BODY_TOO_LARGE, f"The body may have {_BODY_BYTES_MAX} bytes at most."
            )
        parts.append(part)
    return b"".join(parts)


def _parsed(content: bytes) -> Any:
    """Return the body, None if it is empty. Raises RefusedError unless it is a JSON object."""
    if not content.strip():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as failure:
        raise refusal(errors.INVALID_JSON, f"The body is not JSON: {failure}.") from failure
    if not isinstance(value, dict):
        raise refusal(errors.INVALID_JSON, "The body must be a JSON object.")
    return value


def _code(status: int) -> Code:
    for code in (errors.AUTHENTICATION_FAILED, errors.NOT_FOUND, errors.TOO_MANY_REQUESTS):
        if code.status == status:
            return code
    if status in (408, 504):
        return Code("10008", "Request timed out", status)
    return Code(errors.UNEXPECTED.number, errors.UNEXPECTED.title, status)


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection and wait until the server has seen it, so that it sends nothing."""
    scope["state"][TRANSPORT].abort()
    while (await receive())["type"] != "http.disconnect":
        pass
