"""The least that ingest takes, which the gateway is measured beside: it really does that."""

import socket
import time
from pathlib import Path

import pytest

from bench.feed import webhooks
from bench.feed.floor_server import Floor
from gateway.events.sqlite import SqliteEventLog
from gateway.events.sqlite.writer import Retention
from gateway.http.server import HttpServer
from gateway.ingest.webhooks.signature import SignatureVerifier
from tests.harness.events import KEYS
from tests.harness.loop import LoopThread


@pytest.mark.parametrize("signed", [True, False])
def test_it_stores_what_is_signed(loop: LoopThread, tmp_path: Path, signed: bool) -> None:
    async def serve() -> tuple[SqliteEventLog, HttpServer, int]:
        log = await SqliteEventLog.open(
            tmp_path / "floor.db", KEYS, Retention(1e9, 2**40), time.time
        )
        verifier = SignatureVerifier([webhooks.RAW_PUBLIC_KEY], time.time)
        server = HttpServer(Floor(verifier, log), lambda reason, peer: None)
        return log, server, await server.start("127.0.0.1", 0)

    log, server, port = loop.run(serve())
    request = webhooks.request(1, 10, str(int(time.time())))
    if not signed:
        request = request.replace(b'"data"', b'"date"')
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        status = client.recv(1_000).partition(b"\r\n")[0]

    assert (b" 200 " in status) == signed
    assert log.span.count == int(signed)
    loop.run(server.stop(1))
    loop.run(log.close())
