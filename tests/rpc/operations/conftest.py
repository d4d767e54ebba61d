"""The stage of all operations."""

import pytest

from gateway.sandbox import SandboxServer
from tests.conftest import StartGateway
from tests.rpc.operations.stage import Stage


@pytest.fixture
def stage(start_gateway: StartGateway, simulated: SandboxServer) -> Stage:
    gateway = start_gateway(simulated.base_url, public_key=simulated.public_key)
    simulated.control.set_webhook_url(gateway.webhook_url)
    return Stage(gateway, simulated)
