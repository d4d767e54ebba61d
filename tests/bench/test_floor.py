"""The least that ingest takes, which the gateway is measured beside: it really does that."""

import socket
import time
from pathlib import Path

import pytest

from bench.feed import webhooks
from bench.feed.floor_server import Floor
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.server.http.server import HttpServer
from tests.harness.events import FORMAT
from tests.harness.loop import LoopThread
from tests.harness.ports import on_any_port


@pytest.mark.parametrize("signed", [True, False])
def test_it_stores_what_is_signed(loop: LoopThread, tmp_path: Path, signed: bool) -> None:
    async def serve() -> tuple[EventLog, HttpServer, int]:
        log = await open_log(tmp_path / "floor.db", FORMAT)
        verifier = SignatureVerifier([webhooks.RAW_PUBLIC_KEY], time.time)
        server = HttpServer(Floor(verifier, log), lambda reason, peer: None, 100)
        return log, server, await on_any_port(server)

    log, server, port = loop.run(serve())
    request = webhooks.request(1, 10, str(int(time.time())))
    if not signed:
        request = request.replace(b'"data"', b'"date"')
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        status = client.recv(1_000).partition(b"\r\n")[0]

    assert (b" 200 " in status) == signed
    assert log.index.span.count == int(signed)
    loop.run(server.stop(1))
    loop.run(log.close())
