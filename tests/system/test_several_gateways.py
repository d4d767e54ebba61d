"""Several gateways on one stream: what one of them does, the others show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_service_pb2 import WatchConferenceRequest
from gateway.journal.jetstream.broadcast import subject_of
from gateway.sandbox import SandboxServer
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, until, with_nats
from tests.harness.webhooks import Signer

pytestmark = [with_nats, pytest.mark.slow]

ALICE, BOB = "v3:sandbox-alice", "v3:sandbox-bob"

# Less than what a watched conference is read after anyway, in seconds.
AT_ONCE_S = 15.0

RECEIVED = "gateway_shared_commands_received_total"


def _until_gauge(gateway: RunningGateway, name: str, value: float) -> None:
    until(lambda: gateway.gauge(name) == value, f"{name} is {value}")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path / "nats")) as cluster:
        yield cluster


class Gateways:
    """Two gateways on one stream, before one provider, and a conference."""

    def __init__(
        self, start: StartGateway, broker: NatsCluster, simulated: SandboxServer, folder: Path
    ) -> None:
        self.broker = broker
        keys = f"{simulated.public_key},{Signer().public_key}"
        self.a, self.b = (
            start(
                simulated.base_url,
                public_key=keys,
                GATEWAY_EVENT_LOG=broker.url("EVENTS"),
                GATEWAY_INDEX=str(folder / f"{name}.db"),
            )
            for name in "ab"
        )
        simulated.control.set_webhook_url(self.a.webhook_url)
        created = self.a.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Business")
        )
        self.id = created.conference.id
        self.a.conferences.JoinConference(
            c.JoinConferenceRequest(conference_id=self.id, call_control_id=BOB)
        )
        simulated.control.wait_until_idle()
        for one in (self.a, self.b):
            _until_gauge(one, "gateway_log_events", 3)

    def watch(self, gateway: RunningGateway) -> Any:
        stream = gateway.events.WatchConference(
            WatchConferenceRequest(conference_id=self.id), timeout=AT_ONCE_S
        )
        next(stream)
        return stream

    def mute(self, gateway: RunningGateway) -> None:
        gateway.conferences.MuteParticipants(
            c.MuteParticipantsRequest(conference_id=self.id, call_control_ids=[BOB])
        )

    def tell_all(self, loop: LoopThread, *messages: bytes) -> None:
        """Send messages as a foreign program would."""

        async def send() -> None:
            client = await nats.connect([f"nats://{it}" for it in self.broker.addresses])
            for message in messages:
                await client.publish(subject_of("EVENTS", self.a.log.journal.epoch), message)
            await client.close()

        loop.run(send())


@pytest.fixture
def gateways(
    start_gateway: StartGateway, broker: NatsCluster, simulated: SandboxServer, tmp_path: Path
) -> Gateways:
    return Gateways(start_gateway, broker, simulated, tmp_path)


def test_watches_of_all_gateways_show_what_a_command_through_one_has_done(
    gateways: Gateways,
) -> None:
    streams = [gateways.watch(it) for it in (gateways.a, gateways.b)]
    before = gateways.b.gauge(RECEIVED)

    gateways.mute(gateways.a)

    for stream in streams:
        muted = next(stream).participant.participant
        assert (muted.call_control_id, muted.muted) == (BOB, True)
        stream.cancel()
    assert gateways.b.gauge(RECEIVED) == before + 1
    assert gateways.a.gauge(RECEIVED) == 0
    assert gateways.a.gauge("gateway_shared_commands_dropped_total") == 0


def test_what_others_send_to_gateways_changes_nothing(gateways: Gateways, loop: LoopThread) -> None:
    stream = gateways.watch(gateways.b)
    before = gateways.b.gauge(RECEIVED)

    gateways.tell_all(loop, b"", b"\xff", b"a command, please", bytes(2**19))

    for one in (gateways.a, gateways.b):
        _until_gauge(one, "gateway_shared_commands_rejected_total", 4)
    assert gateways.b.gauge(RECEIVED) == before
    gateways.mute(gateways.a)
    assert next(stream).participant.participant.muted
    stream.cancel()
