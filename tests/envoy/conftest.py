"""A real Envoy before two gateways, with the configuration that is in `deploy/envoy`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from tests.envoy.front import Front, on_ports, running
from tests.harness.pair import Pair, both
from tests.harness.ports import free_port
from tests.harness.readiness import until

CONFIG = Path(__file__).parents[2] / "deploy" / "envoy" / "envoy.yaml"


@contextmanager
def before(
    pair: Pair, folder: Path, change: Callable[[str], str] = lambda text: text
) -> Iterator[Front]:
    """Envoy before a pair, once it knows both to be healthy; `change` is what its user changes."""
    ports = {"9901": free_port(), "50050": free_port()}
    for number, gateway in enumerate(pair.gateways, start=1):
        ports[f"5005{number}"] = str(gateway.app.grpc_address).rpartition(":")[2]
    # Tests do not wait for seconds.
    text = change(on_ports(CONFIG, ports).replace("interval: 2s", "interval: 0.1s"))
    with ExitStack() as stack:
        process = stack.enter_context(running(folder, text))
        front = Front(f"127.0.0.1:{ports['50050']}", f"127.0.0.1:{ports['9901']}")
        until(lambda: process.poll() is None and front.is_up())
        until(lambda: front.healthy("commands") == front.healthy("events") == 2)
        front.channel = stack.enter_context(grpc.insecure_channel(front.address))
        # What it counts its worker hears of a moment later.
        both(pair, front.channel)
        yield front


@pytest.fixture
def front(pair: Pair, tmp_path: Path) -> Iterator[Front]:
    with before(pair, tmp_path) as front:
        yield front
