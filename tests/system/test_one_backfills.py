"""Several gateways on one stream, of which one backfills: the next when it dies, or is held up.

Each is a process before a provider of its own, so that it can be told which of them asks.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from conferencing.v1.event_service_pb2 import (
    BACKFILL_STATE_IDLE,
    BACKFILL_STATE_RUNNING,
    BACKFILL_STATE_STANDBY,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
)
from tests.harness.nats import NatsCluster, one_server, running, until, with_nats
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess
from tests.harness.provider import Answer, RecordingProvider

pytestmark = [with_nats, pytest.mark.slow]

# Within which another takes over, in seconds, and what a busy machine may need beside.
TERM_S, BUSY_S = 15.0, 10.0

NOTHING = Answer(
    body={
        "data": [],
        "meta": {"page_number": 1, "page_size": 50, "total_pages": 1, "total_results": 0},
    }
)

DOES_IT = r"backfill: this gateway \((\S+)\) does it now"


class Gateway(GatewayProcess):
    """One of the gateways, and its provider."""

    def __init__(self, folder: Path, name: str, url: str, provider: RecordingProvider) -> None:
        self.provider = provider
        provider.answer = NOTHING
        super().__init__(
            folder,
            TELNYX_BASE_URL=provider.base_url,
            GATEWAY_EVENT_LOG=url,
            GATEWAY_INDEX=str(folder / f"{name}.db"),
            GATEWAY_BACKFILL="on",
            GATEWAY_BACKFILL_INTERVAL="0.2s",
        )

    @property
    def info(self) -> GetFeedInfoResponse:
        return self.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)

    @property
    def asked(self) -> int:
        return len(self.provider.requests)

    @property
    def says_that_it_does_it(self) -> bool:
        return "\ngateway_backfill_active 1.0\n" in http_get(self.admin_address, "/metrics")[1]

    def asks_on(self) -> None:
        """Wait until it has asked its provider for more."""
        before = self.asked
        until(lambda: self.asked > before + 2, "it asks for missed webhooks")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """The gateway that backfills, and one that would."""
    with ExitStack() as stack:
        broker: NatsCluster = stack.enter_context(running(one_server(tmp_path / "nats")))
        providers = [stack.enter_context(RecordingProvider()) for _ in range(2)]
        url = broker.url("EVENTS")
        first = Gateway(tmp_path, "a", url, providers[0])
        stack.enter_context(first)
        name = _name(first)
        second = Gateway(tmp_path, "b", url, providers[1])
        stack.enter_context(second)
        until(lambda: f"backfill: the gateway {name} does it" in _lines(second), "it knows")
        first.asks_on()
        assert second.asked == 0
        assert (first.says_that_it_does_it, second.says_that_it_does_it) == (True, False)
        assert [it.info.backfill.holder for it in (first, second)] == [name, name]
        assert first.info.backfill.state in (BACKFILL_STATE_IDLE, BACKFILL_STATE_RUNNING)
        assert second.info.backfill.state == BACKFILL_STATE_STANDBY
        yield first, second


def _lines(gateway: Gateway) -> str:
    gateway.new_lines()
    return "".join(gateway.log)


def _name(gateway: Gateway) -> str:
    until(lambda: "backfill: this gateway" in _lines(gateway), "it backfills")
    return _lines(gateway).partition("backfill: this gateway (")[2].partition(")")[0]


def test_when_the_one_is_killed_the_other_goes_on_where_it_was(
    two: tuple[Gateway, Gateway],
) -> None:
    first, second = two
    complete = first.info.backfill

    first.kill()
    killed_at = monotonic()

    second.wait_for(DOES_IT)
    assert monotonic() - killed_at < TERM_S + BUSY_S
    second.asks_on()
    assert second.says_that_it_does_it
    found = second.info.backfill
    assert found.complete_since == complete.complete_since
    assert found.complete_until.ToMicroseconds() >= complete.complete_until.ToMicroseconds()


def test_the_one_that_was_stopped_in_a_request_does_no_more_when_it_goes_on(
    two: tuple[Gateway, Gateway],
) -> None:
    first, second = two
    with first.provider.hanging(NOTHING) as answered:
        before = first.asked
        until(lambda: first.asked > before, "it waits for an answer")
        first.hold()
        stopped_at, asked = monotonic(), first.asked

        name = second.wait_for(DOES_IT)
        assert monotonic() - stopped_at < TERM_S + BUSY_S
        second.asks_on()
        answered.set()
    first.provider.answer = NOTHING

    first.go_on()

    first.wait_for(rf"backfill: the gateway {name} does it")
    second.asks_on()
    assert first.asked == asked
    assert not first.says_that_it_does_it
    assert second.says_that_it_does_it
    assert "Traceback" not in _lines(first)


def test_the_one_that_is_told_to_stop_gives_it_up_at_once(two: tuple[Gateway, Gateway]) -> None:
    first, second = two

    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    ended_at = monotonic()

    second.wait_for(DOES_IT)
    assert monotonic() - ended_at < TERM_S / 3
    second.asks_on()
