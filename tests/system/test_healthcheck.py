"""The health check of a container: a small program that asks the gateway beside it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.address import TcpAddress
from gateway.healthcheck import (
    ADDRESS,
    DEFAULT_ADDRESS,
    LIVE,
    TLS_CERT,
    TLS_KEY,
    admin_address,
    trouble_of,
)
from gateway.ports import ADMIN
from tests.harness.certificates import Authority
from tests.harness.process import GatewayProcess, command, environment


def check(
    address: str, *arguments: str, module: str = "gateway.healthcheck", **env: str
) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment(GATEWAY_ADMIN_ADDRESS=address, **env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that works, and whose provider is not there."""
    folder = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(folder, GATEWAY_UPSTREAM_PROBE="on") as process:
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_gateway_that_works_is_well_whatever_its_provider_does(
    gateway: GatewayProcess, host: str
) -> None:
    port = gateway.admin_address.rpartition(":")[2]

    assert check(f"{host}:{port}") == (0, "ok\n")


@pytest.mark.slow
def test_one_that_is_not_ready_says_why(gateway: GatewayProcess) -> None:
    code, text = check(gateway.admin_address, "--ready")

    assert code == 1
    assert text.startswith("not ready: the provider ")


@pytest.mark.slow
def test_it_is_a_command_for_people_too(gateway: GatewayProcess) -> None:
    assert check(gateway.admin_address, "health", module="gateway") == (0, "ok\n")
    code, text = check(gateway.admin_address, "health", "--ready", module="gateway")
    assert (code, text[:9]) == (1, "not ready")


@pytest.mark.slow
def test_a_gateway_is_asked_on_its_socket_file(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'admin.sock'}"
    process = subprocess.Popen(
        command("serve", "--sandbox"),
        cwd=tmp_path,
        env=environment(
            GATEWAY_ADMIN_ADDRESS=address,
            GATEWAY_GRPC_ADDRESS="127.0.0.1:0",
            GATEWAY_HTTP_ADDRESS="127.0.0.1:0",
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert any("health and metrics" in line for line in process.stderr)
        assert check(address) == (0, "ok\n")
    finally:
        process.kill()
        process.communicate()
    code, text = check(address)
    assert (code, text) == (1, f"no response from {address}: [Errno 111] Connection refused\n")


@pytest.mark.slow
def test_a_gateway_is_asked_in_tls_where_it_serves_its_health_so(tmp_path: Path) -> None:
    cert, key = Authority().server().write(tmp_path, "admin")
    env = {"GATEWAY_ADMIN_TLS_CERT": str(cert), "GATEWAY_ADMIN_TLS_KEY": str(key)}
    with GatewayProcess(tmp_path, **env) as process:
        assert check(process.admin_address, **env) == (0, "ok\n")
        code, text = check(process.admin_address)

    assert code == 1
    assert text.startswith(f"no response from {process.admin_address}: ")


def test_a_certificate_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    code, text = check("127.0.0.1:1", GATEWAY_ADMIN_TLS_CERT=str(tmp_path / "none"))

    assert code == 2
    assert text.startswith(
        "telnyx-gateway: GATEWAY_ADMIN_TLS_CERT and GATEWAY_ADMIN_TLS_KEY cannot be read: "
    )


def test_its_names_of_settings_are_those_of_the_gateway() -> None:
    assert (ADMIN.address, ADMIN.default) == (ADDRESS, DEFAULT_ADDRESS)
    assert (ADMIN.cert, ADMIN.key) == (TLS_CERT, TLS_KEY)


def test_nobody_there_is_no_health() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    code, text = check(f"127.0.0.1:{port}")

    assert code == 1
    assert text == f"no response from 127.0.0.1:{port}: [Errno 111] Connection refused\n"


def test_a_gateway_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = TcpAddress("127.0.0.1", mute.getsockname()[1])
        trouble = trouble_of(address, LIVE, timeout_s=0.1)

    assert trouble == f"no response from {address}: timed out"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9080", "GATEWAY_ADMIN_ADDRESS is not host:port"),
        ("127.0.0.1:0", "GATEWAY_ADMIN_ADDRESS is any free port"),
    ],
)
def test_an_address_that_cannot_be_asked_is_a_wrong_setting(text: str, words: str) -> None:
    code, said = check(text)

    assert code == 2
    assert said.startswith(f"telnyx-gateway: {words}")


@pytest.mark.parametrize("text", ["", " "])
def test_unset_is_the_default(text: str) -> None:
    assert str(admin_address({"GATEWAY_ADMIN_ADDRESS": text})) == "127.0.0.1:9080"


def test_it_loads_nothing_of_what_the_gateway_needs() -> None:
    shows = "import gateway.healthcheck, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", shows],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "gateway.address" in loaded
    assert not {"grpc", "pydantic", "click", "google.protobuf", "asyncio"} & {*loaded}
