"""How clients connect: in clear, in TLS, with tokens, and what they refuse to do."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1.event_service_pb2 import SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.client.channel import Connection
from gateway.client.subscription import Lost, Notice, Subscription
from gateway.client.tail_errors import lost_line
from tests.conftest import StartGateway
from tests.harness.certificates import Authority
from tests.harness.process import ROOT, command, environment
from tests.harness.webhooks import webhook

CA = Authority()
SERVER, CLIENT = CA.server(), CA.client("me")


class Listener:
    """A server that knows what its callers showed; in TLS, and in clear for `in_clear`."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, ...]] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        tls = grpc.ssl_server_credentials([(SERVER.key, SERVER.cert)], CA.pem, True)
        self.in_tls = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', tls)}"
        self.in_clear = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def note(self, context: grpc.ServicerContext) -> None:
        metadata = context.invocation_metadata()
        shown = [str(value) for key, value in metadata if key == "authorization"]
        with self._lock:
            self.tokens.append(tuple(shown))

    def close(self) -> None:
        self._server.stop(0).wait()


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._listener.note(context)
            return b""

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            self._listener.note(context)
            yield b""

        if details.method.endswith("Subscribe"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def call(connection: Connection) -> None:
    """Make a call of each kind."""

    async def both() -> None:
        async with connection.open() as channel:
            stub = EventServiceStub(channel)
            unary: Any = channel.unary_unary("/x/y")
            await unary(b"", timeout=10)
            async for _ in stub.Subscribe(SubscribeRequest(), timeout=10):
                pass

    asyncio.run(both())


@pytest.fixture
def mutual(listener: Listener, tmp_path: Path) -> dict[str, Any]:
    cert, key = CLIENT.write(tmp_path, "me")
    return {"address": listener.in_tls, "ca": CA.write(tmp_path), "cert": cert, "key": key}


def test_the_token_goes_with_every_kind_of_call_as_it_is_then(
    listener: Listener, mutual: dict[str, Any], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    for connection in (
        Connection(**mutual, token_file=token),
        Connection(listener.in_clear, token_file=token),
    ):
        token.write_text("first\n")
        call(connection)
        token.write_text("second")
        call(connection)

    assert (
        listener.tokens
        == [("Bearer first",)] * 2
        + [("Bearer second",)] * 2
        + [("Bearer first",)] * 2
        + [("Bearer second",)] * 2
    )


def test_without_a_token_none_is_shown(listener: Listener, mutual: dict[str, Any]) -> None:
    call(Connection(**mutual))

    assert listener.tokens == [(), ()]


@pytest.mark.parametrize(
    "address",
    ["gateway.internal:1", "10.0.0.1:1", "dns:///gateway:1", "[fd00::1]:1", "localhost.x:1"],
)
def test_a_token_goes_to_no_other_host_in_clear(address: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")

    with pytest.raises(ValueError, match=r"would go to .* unencrypted") as refused:
        Connection(address, token_file=token).check()

    assert "secret" not in str(refused.value)
    Connection(address, tls=True, token_file=token).check()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/run/s"])
def test_a_token_may_go_to_this_host_in_clear(address: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")

    Connection(address, token_file=token).check()


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    there, empty = tmp_path / "there", tmp_path / "empty"
    there.write_bytes(CLIENT.cert)
    empty.write_bytes(b" \n")
    for connection, words in (
        (Connection("x:1", cert=there), "a certificate and its key must both be given"),
        (Connection("x:1", key=there), "a certificate and its key must both be given"),
        (Connection("x:1", ca=tmp_path / "no"), "no cannot be read: No such file"),
        (Connection("x:1", tls=True, token_file=empty), "empty is not a token"),
        (Connection("x:1", tls=True, token_file=there), "there is not a token"),
    ):
        with pytest.raises(ValueError, match=words):
            connection.check()


def test_tail_and_the_example_follow_a_gateway_in_mutual_tls(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    (cert, key), ca = SERVER.write(tmp_path, "server"), CA.write(tmp_path)
    gateway = start_gateway(
        GATEWAY_GRPC_TLS_CERT=str(cert),
        GATEWAY_GRPC_TLS_KEY=str(key),
        GATEWAY_GRPC_TLS_CLIENT_CA=str(ca),
    )
    payload = {
        "conference_id": "c1",
        "call_control_id": "alice",
        "occurred_at": "2026-01-01T00:00:01Z",
    }
    gateway.webhooks.post(webhook("conference.participant.joined", payload))
    own_cert, own_key = CLIENT.write(tmp_path, "me")
    token = tmp_path / "token"
    token.write_text("anything")
    address = ("--address", str(gateway.app.grpc_address))
    files = ("--tls-ca", ca, "--tls-cert", own_cert, "--tls-key", own_key, "--token-file", token)
    example = [sys.executable, str(ROOT / "examples" / "attendance.py")]

    def ran(*arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )

    tail = ran(*command("tail"), *address, *files, "--earliest", "--stop")
    attendance = ran(*example, *address, *files, "--stop", "--state", tmp_path / "state.json")
    stranger = ran(*command("tail"), *address, "--tls", "--earliest", "--stop")
    half = ran(*command("tail"), *address, "--tls-cert", own_cert)

    assert (tail.returncode, attendance.returncode) == (0, 0), tail.stderr + attendance.stderr
    assert "conference.participant.joined" in tail.stdout
    assert attendance.stdout == "c1: alice\n"
    assert stranger.returncode == 1
    assert "UNAVAILABLE" in stranger.stderr
    assert half.returncode == 2
    assert "a certificate and its key must both be given" in half.stderr


def test_what_is_wrong_with_a_handshake_is_said_while_tail_retries(
    listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    told: list[str] = []

    async def follow() -> None:
        ended = asyncio.Event()

        def observe(notice: Notice) -> None:
            assert isinstance(notice, Lost)
            told.append(lost_line(notice.error))
            ended.set()

        connection = Connection(listener.in_tls, ca=Authority("another").write(tmp_path, "other"))
        async with connection.open() as channel:
            subscription = Subscription(channel, SubscribeRequest(), observe)

            async def read() -> None:
                async for _ in subscription.responses():
                    pass

            reading = asyncio.create_task(read())
            await asyncio.wait_for(ended.wait(), 20)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(follow())

    assert told[0].startswith("no connection to the gateway (UNAVAILABLE: ")
    assert "CERTIFICATE_VERIFY_FAILED" in told[0]
