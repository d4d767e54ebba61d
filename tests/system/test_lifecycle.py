"""Start, drain, end: as an init system or an orchestrator sees it."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import grpc
import pytest

from conferencing.v1.conference_service_pb2 import EndConferenceRequest
from conferencing.v1.event_service_pb2 import DRAIN_REASON_SHUTDOWN, SubscribeRequest
from gateway.ports import PORTS, Port
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess, ran
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.webhooks import Signer, webhook


def test_a_running_gateway_is_alive_and_ready(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        assert http_get(gateway.admin_address, "/healthz") == (200, "ok\n")
        assert http_get(gateway.admin_address, "/readyz") == (200, "ready\n")
        # The default log is made below the working directory.
        assert (tmp_path / ".gateway" / "events.db").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_zero(tmp_path: Path, number: int) -> None:
    with GatewayProcess(tmp_path) as gateway:
        stream = gateway.events.Subscribe(SubscribeRequest())
        next(stream)
        assert gateway.webhooks.post(webhook(id_="e1")).status == 200

        gateway.signal(number)

        rest = list(stream)
        assert [event.id for response in rest for event in response.events] == ["e1"]
        assert rest[-1].drain.reason == DRAIN_REASON_SHUTDOWN
        assert rest[-1].cursor
        assert gateway.wait() == 0


def test_commands_in_flight_are_finished_and_readiness_is_gone(tmp_path: Path) -> None:
    with RecordingProvider() as provider:
        answering = socket.socketpair()

        def hesitate(request: SentRequest) -> Answer:
            answering[1].recv(1)
            return Answer()

        provider.answer = hesitate
        with GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url) as gateway:
            call = gateway.conferences.EndConference.future(
                EndConferenceRequest(conference_id="c"), timeout=20
            )
            _until(lambda: bool(provider.requests))
            gateway.signal(signal.SIGTERM)
            gateway.wait_for("shutting down")
            _until(lambda: http_get(gateway.admin_address, "/readyz")[0] == 503)
            # Webhooks are still taken while calls are being finished.
            assert gateway.webhooks.post(webhook()).status == 200

            answering[0].send(b"x")

            assert call.result().receipt.result == "ok"
            assert gateway.wait() == 0
        for end in answering:
            end.close()


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    with RecordingProvider() as provider:
        waiting = socket.socketpair()

        def never(request: SentRequest) -> None:
            waiting[1].recv(1)

        provider.answer = never
        with GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url) as gateway:
            call = gateway.conferences.EndConference.future(
                EndConferenceRequest(conference_id="c"), timeout=20
            )
            _until(lambda: bool(provider.requests))
            gateway.signal(signal.SIGTERM)
            gateway.wait_for("shutting down")

            gateway.signal(signal.SIGTERM)

            assert gateway.wait(timeout=5) == 128 + signal.SIGTERM
            with pytest.raises(grpc.RpcError):
                call.result()
        for end in waiting:
            end.close()


def serve(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return ran(folder, "serve", **env)


def test_without_a_key_it_refuses_and_says_what_to_set(tmp_path: Path) -> None:
    result = serve(tmp_path)

    assert result.returncode == 2
    assert "TELNYX_API_KEY is not set" in result.stderr
    assert "TELNYX_PUBLIC_KEY is not set" in result.stderr
    assert "serve --sandbox" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_in_settings_are_listed_and_no_secret_is_shown(tmp_path: Path) -> None:
    result = serve(
        tmp_path,
        TELNYX_API_KEY="KEY with blanks",
        TELNYX_PUBLIC_KEY="c2hvcnQ=",
        TELNYX_BASE_URL="ftp://example.com",
        GATEWAY_GRPC_ADDRESS="nowhere",
        GATEWAY_HTTP_ADDRESS="127.0.0.1:99999",
        GATEWAY_EVENT_LOG="postgres://x",
        GATEWAY_RETENTION_AGE="forever",
        GATEWAY_LOG_LEVEL="loud",
        GATEWAY_RETENTION_SIZES="1GiB",
    )

    assert result.returncode == 2
    for name in (
        "TELNYX_API_KEY",
        "TELNYX_PUBLIC_KEY",
        "TELNYX_BASE_URL",
        "GATEWAY_GRPC_ADDRESS",
        "GATEWAY_HTTP_ADDRESS",
        "GATEWAY_EVENT_LOG",
        "GATEWAY_RETENTION_AGE",
        "GATEWAY_LOG_LEVEL",
    ):
        assert sum(line.strip().startswith(name + " ") for line in result.stderr.splitlines()) == 1
    assert "GATEWAY_RETENTION_SIZES is not a setting: did you mean" in result.stderr
    assert "KEY with blanks" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("port", PORTS, ids=lambda it: it.name)
def test_an_open_address_that_nothing_guards_is_refused_with_what_to_set(
    tmp_path: Path, port: Port
) -> None:
    keys = {"TELNYX_API_KEY": "K", "TELNYX_PUBLIC_KEY": Signer().public_key}

    result = serve(tmp_path, **keys, **{port.address: "0.0.0.0:1"})

    assert result.returncode == 2
    (line,) = [it.strip() for it in result.stderr.splitlines() if "0.0.0.0" in it]
    assert line == (
        f"{port.address} opens 0.0.0.0:1 to other hosts, unencrypted: set {port.cert} and"
        f" {port.key}, or {port.trust}=network if a sidecar or a private network guards it"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as first:
        other = tmp_path / "other"
        other.mkdir()
        for name, address in (
            ("GATEWAY_GRPC_ADDRESS", first.grpc_address),
            ("GATEWAY_HTTP_ADDRESS", first.http_address),
            ("GATEWAY_ADMIN_ADDRESS", first.admin_address),
        ):
            free = {port.address: "127.0.0.1:0" for port in PORTS}
            keys = {"TELNYX_API_KEY": "K", "TELNYX_PUBLIC_KEY": first.signer.public_key}
            result = serve(other, **(keys | free | {name: address}))
            assert result.returncode == 1
            assert f"cannot listen for {'gRPC' if 'GRPC' in name else 'HTTP'}" in result.stderr
            assert address in result.stderr
            assert "Traceback" not in result.stderr


def test_a_log_that_is_in_use_is_named(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as first:
        result = serve(
            tmp_path,
            TELNYX_API_KEY="K",
            TELNYX_PUBLIC_KEY=first.signer.public_key,
            GATEWAY_GRPC_ADDRESS="127.0.0.1:0",
            GATEWAY_HTTP_ADDRESS="127.0.0.1:0",
            GATEWAY_ADMIN_ADDRESS="127.0.0.1:0",
        )

    assert result.returncode == 1
    assert "another gateway is using the event log" in result.stderr


def test_no_secret_is_in_the_log_of_a_whole_run(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, GATEWAY_LOG_LEVEL="debug", GATEWAY_LOG_FORMAT="json") as gateway:
        gateway.webhooks.post(webhook())
        gateway.webhooks.post(webhook(), {})
        with pytest.raises(grpc.RpcError):
            gateway.conferences.EndConference(EndConferenceRequest(conference_id="c"))
        gateway.signal(signal.SIGTERM)
        gateway.wait()
        with pytest.raises(AssertionError):
            gateway.wait_for("there is no such line")

    text = "".join(gateway.log)
    assert "KEY0123456789" not in text
    assert all(json.loads(line)["message"] for line in gateway.log)


def _until(condition, timeout: float = 20) -> None:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
