"""What the API and the metrics say of the machine's clock."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from conferencing.v1.event_service_pb2 import (
    CLOCK_STATE_CONFIRMED,
    CLOCK_STATE_SUSPECT,
    CLOCK_STATE_UNCONFIRMED,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
)
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.provider import RecordingProvider
from tests.harness.raw_deliveries import RawDeliveries, row
from tests.ingest.backfill.bench import DAY_S


class FakeTime(SimpleNamespace):
    """The time module, on a machine whose clock is ahead."""

    def __init__(self) -> None:
        super().__init__(monotonic=time.monotonic, ahead=0.0)

    def time(self) -> float:
        return time.time() + float(self.ahead)


def info(gateway: RunningGateway) -> GetFeedInfoResponse:
    found: GetFeedInfoResponse = gateway.events.GetFeedInfo(GetFeedInfoRequest())
    return found


def until(
    gateway: RunningGateway, condition: Callable[[GetFeedInfoResponse], bool]
) -> GetFeedInfoResponse:
    for _ in range(20_000):
        if condition(found := info(gateway)):
            return found
    raise AssertionError(f"it stays {found}")


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-DAY_S, DAY_S])
def test_a_wrong_clock_is_told_and_events_are_found_by_the_provider_s(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    monkeypatch: pytest.MonkeyPatch,
    ahead: float,
) -> None:
    machine = FakeTime()
    machine.ahead = ahead
    monkeypatch.setattr("gateway.app.time", machine)
    log = provider.answer = RawDeliveries()
    gateway = start_gateway(
        provider.base_url, GATEWAY_BACKFILL="on", GATEWAY_BACKFILL_INTERVAL="0.2s"
    )

    told = until(gateway, lambda it: it.backfill.HasField("finished_at"))
    assert told.clock.state == CLOCK_STATE_SUSPECT
    assert abs(told.clock.ahead.ToTimedelta().total_seconds() - ahead) < 60
    log.rows = [row("missed", time.time(), "https://gateway.example/webhooks/telnyx")]
    found = until(gateway, lambda it: it.event_count == 1)
    assert found.backfill.complete_until.seconds <= time.time()
    assert abs(found.newest_received_at.seconds - time.time()) < 60
    assert "gateway_clock_ahead_seconds" in gateway.metrics()

    machine.ahead = 0.0
    assert info(gateway).clock.state == CLOCK_STATE_CONFIRMED


def test_a_verified_webhook_confirms_the_clock(fresh: RunningGateway) -> None:
    assert info(fresh).clock.state == CLOCK_STATE_UNCONFIRMED

    fresh.webhooks.event()

    assert info(fresh).clock.state == CLOCK_STATE_CONFIRMED
    assert not info(fresh).clock.HasField("ahead")
