"""The log of a running gateway: never waited for, in one form, and silent about what is no news."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, ListEventsRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess, command, environment
from tests.harness.webhooks import Poster, Reply, Signer, webhook

# More than a pipe holds, at a line each.
FLOOD = 1_500

# Whose lines are about lines.
LOGS = "gateway.telemetry.logs"


def free_port() -> int:
    with socket.socket() as any_:
        any_.bind(("127.0.0.1", 0))
        port: int = any_.getsockname()[1]
        return port


class Unread(NamedTuple):
    """Where a gateway is whose log nobody reads."""

    http: str
    grpc: str
    admin: str


@contextmanager
def unread_gateway(folder: Path, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], Unread]]:
    """A gateway whose standard error is a full pipe that nobody reads, and its addresses."""
    at = Unread(*(f"127.0.0.1:{free_port()}" for _ in range(3)))
    source, sink = os.pipe()
    fcntl.fcntl(sink, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(sink, b"x" * 4_096)
    except BlockingIOError:
        fcntl.fcntl(sink, fcntl.F_SETFL, 0)
    process = subprocess.Popen(
        command("serve"),
        cwd=folder,
        env=environment(
            TELNYX_API_KEY="KEY0123456789",
            TELNYX_PUBLIC_KEY=Signer().public_key,
            TELNYX_BASE_URL="http://127.0.0.1:9/v2",
            GATEWAY_GRPC_ADDRESS=at.grpc,
            GATEWAY_HTTP_ADDRESS=at.http,
            GATEWAY_ADMIN_ADDRESS=at.admin,
            GATEWAY_BACKFILL="off",
            GATEWAY_UPSTREAM_PROBE="off",
            **env,
        ),
        stderr=sink,
    )
    os.close(sink)
    try:
        ends = time.monotonic() + 20
        while True:
            try:
                http_get(at.admin, "/healthz")
                http_get(at.http, "/")
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < ends, "it does not serve"
        yield process, at
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(source)


def works(at: Unread) -> Reply:
    """Use both faces of a gateway; returns what became of a webhook."""
    with grpc.insecure_channel(at.grpc) as channel:
        EventServiceStub(channel).ListEvents(ListEventsRequest(), timeout=10)
    return Poster(at.http, Signer()).post(webhook())


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    with unread_gateway(tmp_path) as (process, at):
        poster = Poster(at.http, Signer())
        for _ in range(FLOOD):
            assert poster.post(b"unsigned", {}).status == 400

        assert works(at).status == 200
        assert http_get(at.admin, "/readyz")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_what_libraries_write_to_standard_error_stops_nothing_either(tmp_path: Path) -> None:
    # gRPC's core tells of each step of each call, from threads of its own.
    with unread_gateway(tmp_path, GRPC_VERBOSITY="debug", GRPC_TRACE="all") as (process, at):
        for _ in range(20):
            assert works(at).status == 200

        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_flood_of_refusals_is_a_line_or_two_each_second(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        began = time.monotonic()
        for _ in range(FLOOD):
            gateway.webhooks.post(b"unsigned", {})
        seconds = time.monotonic() - began
        metrics = http_get(gateway.admin_address, "/metrics")[1]
        gateway.signal(signal.SIGTERM)
        gateway.wait_for("stopped")
        gateway.wait()
        with pytest.raises(AssertionError):
            gateway.wait_for("nothing that it says")

    lines = [line for line in gateway.log if "refused a webhook" in line]
    assert 2 <= len(lines) <= seconds + 3
    more = sum(int(it) for it in re.findall(r"\.\.\. and (\d+) more", "".join(lines)))
    assert len(lines) + more == FLOOD
    assert (
        float(re.findall(r"^gateway_log_lines_counted_total (\S+)", metrics, re.MULTILINE)[0])
        > FLOOD / 2
    )
    assert "gateway_log_lines_dropped_total 0.0" in metrics


def test_nothing_that_is_sent_makes_a_line_of_its_own(tmp_path: Path) -> None:
    forged = "12:00:00 ERROR   gateway  forged"
    with GatewayProcess(tmp_path) as gateway:
        odd = f"x\r\n{forged}\x1b[31m\x85{forged}"
        assert gateway.webhooks.post(webhook(odd, {odd: odd}, odd)).status == 200
        gateway.webhooks.post(json.dumps({"data": {"event_type": odd}}).encode())
        with socket.create_connection(tuple(gateway.http_address.split(":"))) as raw:  # type: ignore[arg-type]
            raw.sendall(f"GET /\n{forged}\r\n\r\n".encode())
            raw.recv(1_000)
        with grpc.insecure_channel(gateway.grpc_address) as channel:
            call: Any = channel.unary_unary("/conferencing.v1.QueueService/GetQueue")
            with pytest.raises(grpc.RpcError):
                call(forged.encode(), timeout=10, metadata=(("x", forged),))
        gateway.signal(signal.SIGTERM)
        gateway.wait_for("stopped")

    assert not [line for line in gateway.log if line.startswith("12:00:00")]
    assert not [line for line in gateway.log if "\x1b" in line]


def test_callers_that_leave_while_they_are_written_to_are_no_error(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        for n in range(300):
            gateway.webhooks.event(conference_id=f"c{n}", filling="x" * 2_000)
        for _ in range(40):
            with grpc.insecure_channel(
                gateway.grpc_address, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                request = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True)
                stream = EventServiceStub(channel).Subscribe(request)
                next(stream)
        for _ in range(40):
            with socket.create_connection(tuple(gateway.admin_address.split(":"))) as raw:  # type: ignore[arg-type]
                raw.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gateway.webhooks.event()
        gateway.signal(signal.SIGTERM)
        gateway.wait_for("stopped")

    assert not [line for line in gateway.log if re.search(r"ERROR|Traceback|CRITICAL", line)]


# In a process whose logs are set up as the gateway's.
def told(text: str, log_format: str = "text") -> subprocess.CompletedProcess[str]:
    lines = "".join(f"    {line}\n" for line in text.strip().splitlines())
    setting = f"with logs_set_up('info', {log_format!r}) as logs:\n{lines}"
    return subprocess.run(
        [sys.executable, "-c", f"from gateway.telemetry.logs import logs_set_up\n{setting}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FOREIGN = r"""
import asyncio, logging, os, sys, threading, warnings
os.write(2, b"W0000 00:00:1700000000.123456      77 chttp2_transport.cc:12] too many pings\n")
os.write(2, b"thread 'tokio' panicked\n")
print("from print", file=sys.stderr)
warnings.warn("from warnings")
logging.getLogger("uvicorn.error").warning("from uvicorn")
logging.getLogger("uvicorn.error").info("chatter")
logging.getLogger("httpx").info("HTTP Request: chatter")
logging.getLogger("x").info("%d arguments are too few, %s", 1)
class Odd:
    def __del__(self): raise KeyError("from a destructor")
Odd()
threading.Thread(target=lambda: 1 / 0, name="worker").start()
async def main():
    asyncio.get_running_loop().create_future().set_exception(ValueError("from a future"))
asyncio.run(main())
"""


def test_lines_of_libraries_come_in_the_form_of_our_own() -> None:
    result = told(FOREIGN, "json")

    assert result.returncode == 0
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    found = {(line["logger"], line["level"]): line for line in lines}
    assert found["grpc.core", "warning"]["message"] == "chttp2_transport.cc:12: too many pings"
    said = " ".join(line["message"] for line in lines)
    for text in ("'tokio' panicked", "from print", "from warnings", "from uvicorn"):
        assert text in said
    assert "are too few" in said
    assert "chatter" not in said
    raised = " ".join(line.get("exception", "") for line in lines)
    for text in ("from a destructor", "ZeroDivisionError", "from a future"):
        assert text in raised
    assert found["asyncio", "error"]["message"].startswith("Future exception was never retrieved")


def test_a_response_that_met_nobody_is_no_news_and_everything_else_of_grpc_is() -> None:
    result = told("""
import logging, grpc
for error in (grpc.aio.InternalError("batch failed"), RuntimeError("something else")):
    try:
        raise error
    except Exception:
        logging.getLogger("grpc._cython.cygrpc").exception("raised by servicer method [/s/M]")
""")

    assert result.stderr.count("raised by servicer method") == 1
    assert "  | RuntimeError: something else" in result.stderr


def test_an_error_that_ends_the_program_is_told_after_the_log() -> None:
    result = told("import logging\nlogging.getLogger('x').info('before')\n1 / 0")

    assert result.returncode == 1
    before, after = result.stderr.split("Traceback", 1)
    assert "before" in before
    assert "ZeroDivisionError" in after


def test_a_crash_tells_where_it_was() -> None:
    result = told("import os\nos.abort()")

    assert result.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in result.stderr


LATE = r"""
import logging, threading
def tell(number):
    others = {"is_thinned": False, "fields": {"thread": threading.current_thread().name}}
    logging.getLogger("calls").info("%s", 12 // number * 0 + number, extra=others)
def refuse(reason): logging.getLogger("refused").info(reason, extra={"kind": "refused"})
for number in range(-20, 20):
    logs.later(lambda number=number: tell(number))
    logging.getLogger("others").info("%s", number, extra={"is_thinned": False})
for reason in ("one", "held", "more"):
    logs.later(lambda reason=reason: refuse(reason))
"""


def test_lines_told_late_come_in_their_order_and_all_before_the_end() -> None:
    result = told(LATE, "json")

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [int(it["message"]) for it in lines if it["logger"] == "others"] == list(range(-20, 20))
    late = [it for it in lines if it["logger"] == "calls"]
    assert [int(it["message"]) for it in late] == [n for n in range(-20, 20) if n]
    assert {it["thread"] for it in late} == {"log"}
    # One that cannot be made costs no other, and has a line that says why, in its place.
    assert [n for n, it in enumerate(lines) if "exception" in it] == [40]
    assert (lines[40]["logger"], lines[40]["level"]) == (LOGS, "error")
    assert "ZeroDivisionError" in lines[40]["exception"]
    assert [(it["message"], it.get("more")) for it in lines if it["logger"] == "refused"] == [
        ("one", None),
        ("held", 1),
    ]
    assert [int(it["message"]) for it in lines[38:40] + lines[41:43]] == [-1, -1, 0, 1]
    assert result.returncode == 0
