"""A provider that is not the sandbox: it answers what it is told to and remembers what it was sent.

Written on the standard library alone, so that it shares nothing with the gateway or the sandbox.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from io import BufferedIOBase
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class SentRequest:
    method: str
    # As they stood in the request line, still escaped.
    path: str
    raw_query: str
    # In the order in which they were sent, by names in lower case.
    headers: dict[str, str] = field(repr=False)
    raw_body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    @property
    def query_items(self) -> list[tuple[str, str]]:
        """The query as a multiset of names and values, in an order of its own."""
        return sorted(parse_qsl(self.raw_query, keep_blank_values=True, strict_parsing=True))

    @property
    def body(self) -> Any:
        """The JSON body, None if there is none; a name that stands in it twice is an error."""
        return json.loads(self.raw_body, object_pairs_hook=_object) if self.raw_body else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    assert len(values) == len(pairs), f"a name stands twice in {pairs}"
    return values


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = field(default_factory=lambda: {"data": {"result": "ok"}})
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body, allow_nan=False).encode()

    def on_the_wire(self) -> bytes:
        body = b"" if self.status == 204 else self.encoded()
        headers = {"date": formatdate(usegmt=True)}
        if self.body is not None and not isinstance(self.body, bytes):
            headers["content-type"] = "application/json"
        if self.status != 204:
            headers["content-length"] = str(len(body))
        headers |= self.headers
        lines = [f"HTTP/1.1 {self.status} Answer", *(f"{it}: {headers[it]}" for it in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _read(stream: BufferedIOBase) -> SentRequest | None:
    """Read a request, None at the end of the connection."""
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers = {}
    while field_ := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = field_.partition(":")
        headers[name.lower()] = value.strip()
    path, _, query = target.partition("?")
    body = stream.read(int(headers.get("content-length", 0)))
    return SentRequest(method, path, query, headers, body)


class _Server(ThreadingTCPServer):
    daemon_threads = True
    # Many are opened at once, and one that finds no place here is tried again a second later.
    request_queue_size = 256


class RecordingProvider:
    """Use as a context manager; `answer` may be a function of the request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "https" if tls else "http"
        self.requests: list[SentRequest] = []
        self.answer: Answer | Callable[[SentRequest], Answer | None] = Answer()
        provider = self

        class Handler(StreamRequestHandler):
            timeout = 20
            # A response goes out in one piece: the second of two would wait for a delayed ACK.
            wbufsize = -1

            def handle(self) -> None:
                while (request := _read(self.rfile)) is not None:
                    provider.requests.append(request)
                    answer = (
                        provider.answer(request) if callable(provider.answer) else provider.answer
                    )
                    if answer is None:  # hang up without a word
                        return
                    self.wfile.write(answer.on_the_wire())
                    self.wfile.flush()

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/v2"

    def reset(self) -> None:
        self.requests.clear()
        self.answer = Answer()

    @contextmanager
    def hanging(
        self, answer: Answer | None = None, which: Callable[[SentRequest], bool] = lambda _: True
    ) -> Iterator[threading.Event]:
        """Let requests of a kind wait for their answer until the event is set, or the context ends.

        The answer to all others comes at once.
        """
        released, given = threading.Event(), answer or Answer()

        def answered(request: SentRequest) -> Answer:
            if which(request):
                released.wait(60)
            return given

        self.answer = answered
        try:
            yield released
        finally:
            released.set()

    def is_first(self, request: SentRequest) -> bool:
        """Tell whether a request is the first since the last reset."""
        return request is self.requests[0]

    @property
    def last(self) -> SentRequest:
        return self.requests[-1]

    def take(self) -> SentRequest:
        """Return the request that was sent since the last time; there must be exactly one."""
        (sent,) = self.requests
        self.requests.clear()
        return sent

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
