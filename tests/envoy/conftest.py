"""A real Envoy before two gateways, with the configuration that is in `deploy/envoy`."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from tests.envoy.front import Front
from tests.harness.pair import Pair
from tests.harness.readiness import until

CONFIG = Path(__file__).parents[2] / "deploy" / "envoy" / "envoy.yaml"
ENVOY = Path(sys.executable).parent / "envoy"


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@pytest.fixture
def front(pair: Pair, tmp_path: Path) -> Iterator[Front]:
    """Envoy, once it knows both gateways to be healthy."""
    ports = {"9901": free_port(), "50050": free_port()}
    for number, gateway in enumerate(pair.gateways, start=1):
        ports[f"5005{number}"] = str(gateway.app.grpc_address).rpartition(":")[2]
    text, count = re.subn(
        r"port_value: (\d+)", lambda it: f"port_value: {ports[it[1]]}", CONFIG.read_text()
    )
    assert count == 4
    config, log = tmp_path / "envoy.yaml", tmp_path / "envoy.log"
    # Tests do not wait for seconds.
    config.write_text(text.replace("interval: 2s", "interval: 0.1s"))
    with ExitStack() as stack:
        process = subprocess.Popen(
            [
                ENVOY,
                *("--config-path", config, "--log-path", log, "--concurrency", "1"),
                # Several on one machine would otherwise share memory.
                "--disable-hot-restart",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, 20)
        stack.callback(process.kill)
        front = Front(f"127.0.0.1:{ports['50050']}", f"127.0.0.1:{ports['9901']}")
        until(lambda: process.poll() is None and front.is_up())
        until(lambda: front.healthy("commands") == front.healthy("events") == 2)
        front.channel = stack.enter_context(grpc.insecure_channel(front.address))
        pair.taken()
        yield front
