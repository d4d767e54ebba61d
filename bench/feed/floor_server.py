"""The floor of ingest: what no receiver that verifies and stores can do without.

A bare ASGI application on the same HTTP server with the same settings: it checks the signature,
stores the raw body in the same kind of log, in groups, and answers always the same. It does not
look at what it stores.

Run as `python -m bench.feed.floor_server PORT LOG`; ends with its input.
"""

import itertools
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.feed import webhooks
from bench.processes import until_input_ends
from gateway.address import TcpAddress
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.journal.events import NewEvent
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.schema.event_keys import declared_keys
from gateway.server.http.server import HttpServer
from gateway.server.http.slots import connections_max
from tests.harness.events import FORMAT

_DECLARED = declared_keys()
_KEYS = tuple("bench" if key.name == "type" else "" for key in _DECLARED)
_BODY = b"{}"
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_END = {"type": "http.response.body", "body": b"{}"}


class Floor:
    """The application."""

    def __init__(self, verifier: SignatureVerifier, log: EventLog) -> None:
        self._verifier = verifier
        self._log = log
        self._numbers = itertools.count()

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        raw = b""
        more = True
        while more:
            message = await receive()
            raw += message["body"]
            more = message["more_body"]
        self._verifier.verify(self._verifier.read(scope["headers"]), raw)
        now = round(time.time() * 1e6)
        await self._log.journal.append(
            NewEvent(f"{next(self._numbers):032d}", "bench", _KEYS, now, _BODY, raw)
        )
        await send(_START)
        await send(_END)


async def _main(port: str, path: str) -> None:
    log = await open_log(Path(path), FORMAT)
    verifier = SignatureVerifier([webhooks.RAW_PUBLIC_KEY], time.time)
    server = HttpServer(Floor(verifier, log), lambda reason, peer: None, connections_max())
    await server.start(TcpAddress("127.0.0.1", int(port)))
    await until_input_ends()
    await server.stop(1)
    await log.close()


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
