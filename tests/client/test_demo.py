"""The demonstration tells the truth: what does not come back makes it fail, and end."""

import pytest

from gateway.client.channel import Connection
from gateway.client.demo import Cast, Demo
from gateway.sandbox import SandboxServer, SandboxSettings, WebhookFault
from tests.conftest import StartGateway
from tests.harness.loop import LoopThread

# The first, of which everything depends on the rest, and the last.
LOST = ("call.enqueued", "conference.participant.left", "conference.ended")


@pytest.mark.slow
@pytest.mark.parametrize("lost", [*LOST, "*"])
def test_an_event_that_is_missing_makes_it_fail(
    loop: LoopThread, start_gateway: StartGateway, lost: str
) -> None:
    said: list[str] = []
    settings = SandboxSettings(speed=10.0)
    with SandboxServer(settings) as sandbox:
        gateway = start_gateway(sandbox.base_url, public_key=sandbox.public_key)
        sandbox.control.set_webhook_url(gateway.webhook_url)
        sandbox.control.add_fault(WebhookFault(trouble="lose", event_type=lost))

        async def play() -> bool:
            async with Connection(str(gateway.app.grpc_address)).open() as channel:
                return await Demo(channel, Cast(*settings.calls), said.append, patience_s=1.5).run()

        assert loop.run(play()) is False

    assert any("MISSING" in line for line in said), said
