"""An HTTP proxy that passes on what it is sent, tunnels included, and remembers how it was asked.

Written on the standard library alone.
"""

import http.client
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    # What stands in the request line: host and port for a tunnel, a whole URL otherwise.
    target: str
    authorization: str | None


class RecordingProxy:
    """Use as a context manager. `refuse_with` is a status for all who ask."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refuse_with: int | None = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.connection.settimeout(20)

            def log_message(self, *_: Any) -> None:
                pass

            def _note(self) -> None:
                authorization = self.headers.get("proxy-authorization")
                proxy.asked.append(Asked(self.command, self.path, authorization))

            def do_CONNECT(self) -> None:
                self._note()
                self.close_connection = True
                if proxy.refuse_with is not None:
                    self.send_response(proxy.refuse_with)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), timeout=20) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_pump, args=(upstream, self.connection))
                    back.start()
                    _pump(self.connection, upstream)
                    back.join()

            def _pass_on(self) -> None:
                self._note()
                if proxy.refuse_with is not None:
                    self.close_connection = True
                    self.send_response(proxy.refuse_with)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                upstream = http.client.HTTPConnection(parts.netloc, timeout=20)
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                upstream.request(self.command, path, body, headers)
                response = upstream.getresponse()
                data = response.read()
                upstream.close()
                self.send_response(response.status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _pass_on

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "RecordingProxy":
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


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # either end has gone
