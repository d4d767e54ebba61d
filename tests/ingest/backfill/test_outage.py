"""Outages, against the simulated provider: what its log holds is in the feed in the end, once."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1.event_pb2 import EVENT_ORIGIN_BACKFILL, EVENT_ORIGIN_LIVE, Event
from conferencing.v1.event_service_pb2 import (
    BACKFILL_STATE_FAILING,
    BACKFILL_STATE_IDLE,
    BACKFILL_STATE_OFF,
    BACKFILL_STATE_RUNNING,
    POSITION_EARLIEST,
    BackfillInfo,
    GetFeedInfoRequest,
    SubscribeRequest,
)
from gateway.sandbox import RequestFault, SandboxServer, WebhookFault
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.logs import full_disk
from tests.harness.process import GatewayProcess

pytestmark = pytest.mark.slow

ALICE, BOB, CAROL = "v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol"
LIST = "webhook_deliveries.list"

# What the provider goes on trying for, and as much again.
OUTAGE_S = 120.0


class Story:
    """What happens at the provider, told to whichever gateway there is."""

    def __init__(self, simulated: SandboxServer) -> None:
        self.simulated = simulated
        self.conference = self._post("/conferences", {"call_control_id": ALICE, "name": "Outage"})[
            "id"
        ]

    def join(self, call: str) -> None:
        self._post(f"/conferences/{self.conference}/actions/join", {"call_control_id": call})

    def leave(self, call: str) -> None:
        self._post(f"/conferences/{self.conference}/actions/leave", {"call_control_id": call})

    def come_and_go(self, times: int) -> None:
        for _ in range(times):
            self.join(BOB)
            self.leave(BOB)

    def pass_time(self, seconds: float) -> None:
        """Let every attempt that is due be made, second by second."""
        control = self.simulated.control
        for _ in range(round(seconds)):
            control.advance(1)
            control.wait_until_idle()

    @property
    def sent(self) -> list[str]:
        """The ids of all events, oldest first, from the provider's own log.

        It enters an attempt once that has its response; subscribers may be told before.
        """
        self.simulated.control.wait_until_idle()
        ids: list[str] = []
        number = 1
        while rows := self._get(f"/webhook_deliveries?page[number]={number}&page[size]=100"):
            ids += [row["webhook"]["id"] for row in rows]
            number += 1
        return ids[::-1]

    def _post(self, path: str, body: Any) -> Any:
        return self._ask(path, json.dumps(body).encode())

    def _get(self, path: str) -> Any:
        return self._ask(path, None)

    def _ask(self, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(
            self.simulated.base_url + path,
            body,
            {"authorization": "Bearer KEY", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]


@pytest.fixture
def story(simulated: SandboxServer) -> Story:
    return Story(simulated)


StartHere = Callable[..., RunningGateway]


@pytest.fixture
def start(start_gateway: StartGateway, simulated: SandboxServer) -> StartHere:
    """Starts a gateway that backfills, with the provider's webhooks directed to it."""

    def start(**env: str) -> RunningGateway:
        gateway = start_gateway(
            simulated.base_url,
            public_key=simulated.public_key,
            **{"GATEWAY_BACKFILL": "on", "GATEWAY_BACKFILL_INTERVAL": "60s", **env},
        )
        simulated.control.set_webhook_url(gateway.webhook_url)
        return gateway

    return start


def after(gateway: Any, cursor: str, count: int) -> list[Event]:
    """The next events after a cursor, waited for."""
    stream = gateway.events.Subscribe(SubscribeRequest(after_cursor=cursor), timeout=30)
    found: list[Event] = []
    for response in stream:
        found += response.events
        if len(found) >= count:
            stream.cancel()
            return found
    raise AssertionError("the stream ended")


def everything(gateway: Any) -> list[Event]:
    request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    stream = gateway.events.Subscribe(request, timeout=30)
    return [event for response in stream for event in response.events]


def info(gateway: Any) -> BackfillInfo:
    found: BackfillInfo = gateway.events.GetFeedInfo(GetFeedInfoRequest()).backfill
    return found


def newest_cursor(gateway: Any) -> str:
    return str(gateway.events.GetFeedInfo(GetFeedInfoRequest()).newest_cursor)


def beginning(gateway: Any) -> str:
    return str(gateway.events.GetFeedInfo(GetFeedInfoRequest()).oldest_cursor)


def until(gateway: Any, condition: Callable[[BackfillInfo], bool]) -> BackfillInfo:
    """Ask how backfill stands until a condition holds; at most some thousand times."""
    for _ in range(10_000):
        found = info(gateway)
        if condition(found):
            return found
    raise AssertionError(f"backfill stays {found}")


def finished(gateway: Any) -> BackfillInfo:
    return until(gateway, lambda it: it.state == BACKFILL_STATE_IDLE and it.HasField("finished_at"))


def test_nothing_is_lost_when_the_gateway_is_away_for_two_minutes(
    start: StartHere, story: Story
) -> None:
    gateway = start()
    finished(gateway)  # what was sent before it began is not for it to fetch
    story.join(BOB)
    story.simulated.control.wait_until_delivered()
    before = everything(gateway)
    cursor = newest_cursor(gateway)
    gateway.stop()

    story.leave(BOB)
    story.join(CAROL)
    story.pass_time(OUTAGE_S)
    assert story.simulated.control.pending_deliveries() == 0  # the provider has given up
    again = start()

    missed = after(again, cursor, 2)
    story.leave(CAROL)
    live = after(again, missed[-1].cursor, 1)
    # The conference was created before there was a gateway.
    assert [event.id for event in before + missed + live] == story.sent[2:]
    assert {event.origin for event in before + live} == {EVENT_ORIGIN_LIVE}
    assert {event.origin for event in missed} == {EVENT_ORIGIN_BACKFILL}
    assert [event.type for event in missed] == [
        "conference.participant.left",
        "conference.participant.joined",
    ]
    assert missed[0].call_control_id == BOB
    assert missed[0].HasField("occurred_at")
    assert finished(again).stored_events == 2


def test_what_the_provider_still_delivers_is_stored_once(start: StartHere, story: Story) -> None:
    gateway = start()
    finished(gateway)
    gateway.stop()
    story.join(BOB)
    story.pass_time(3)  # some attempts have failed, others are to come

    again = start()
    assert finished(again).stored_events == 1
    story.pass_time(OUTAGE_S)

    assert story.simulated.control.pending_deliveries() == 0
    held = [event.id for event in everything(again)]
    assert held == story.sent[2:]


def test_a_webhook_lost_on_the_way_is_found(start: StartHere, story: Story) -> None:
    gateway = start(GATEWAY_BACKFILL_INTERVAL="0.2s")
    story.simulated.control.add_fault(WebhookFault(trouble="lose", times=2))

    story.come_and_go(3)

    story.simulated.control.wait_until_delivered()
    found = after(gateway, beginning(gateway), 6)
    assert sorted(event.id for event in found) == sorted(story.sent[2:])
    assert [event.origin for event in found].count(EVENT_ORIGIN_BACKFILL) == 2


def test_what_could_not_be_written_is_fetched_when_the_disk_has_room(
    start: StartHere, story: Story
) -> None:
    gateway = start(GATEWAY_BACKFILL_INTERVAL="0.2s")
    with full_disk(gateway.log):
        story.come_and_go(8)
        story.pass_time(OUTAGE_S)
        until(gateway, lambda it: it.state == BACKFILL_STATE_FAILING)

    held = after(gateway, beginning(gateway), 16)
    assert sorted(event.id for event in held) == sorted(story.sent[2:])


def test_back_fill_goes_on_after_kill_9(simulated: SandboxServer, tmp_path: Path) -> None:
    story = Story(simulated)
    env = {
        "TELNYX_BASE_URL": simulated.base_url,
        "TELNYX_PUBLIC_KEY": simulated.public_key,
        "GATEWAY_BACKFILL": "on",
    }
    with GatewayProcess(tmp_path, **env) as gateway:
        simulated.control.set_webhook_url(f"http://{gateway.http_address}/webhooks/telnyx")
        story.join(BOB)
        simulated.control.wait_until_delivered()
        finished(gateway)
        gateway.kill()
    story.leave(BOB)
    story.come_and_go(40)
    story.pass_time(OUTAGE_S)

    for reached in (
        lambda it: it.state == BACKFILL_STATE_RUNNING,
        lambda it: it.stored_events > 0,
    ):
        with GatewayProcess(tmp_path, **env) as gateway:
            until(gateway, reached)
            gateway.kill()
    with GatewayProcess(tmp_path, **env) as gateway:
        finished(gateway)
        held = [event.id for event in everything(gateway)]

    assert len(held) == len(set(held))
    assert sorted(held) == sorted(story.sent[2:])


def test_a_provider_that_fails_is_told_of_and_asked_again(
    start: StartHere, story: Story, simulated: SandboxServer
) -> None:
    gateway = start(GATEWAY_BACKFILL_INTERVAL="0.2s")
    simulated.control.add_fault(RequestFault(operation=LIST, status=403))

    failing = until(gateway, lambda it: it.state == BACKFILL_STATE_FAILING)
    assert "ListWebhookDeliveries" in failing.error
    simulated.control.clear_faults()

    healed = until(gateway, lambda it: not it.error and it.finished_at.ToMicroseconds() > 0)
    assert healed.complete_until.ToMicroseconds() > 0


def test_it_can_be_switched_off(start: StartHere, simulated: SandboxServer) -> None:
    gateway = start(GATEWAY_BACKFILL="off")

    assert info(gateway) == BackfillInfo(state=BACKFILL_STATE_OFF)
    assert simulated.control.requests(LIST) == []


def test_metrics_count_what_was_found(start: StartHere, story: Story) -> None:
    gateway = start(GATEWAY_BACKFILL_INTERVAL="0.2s")
    story.simulated.control.add_fault(WebhookFault(trouble="lose", times=1))
    story.join(BOB)
    after(gateway, beginning(gateway), 1)
    finished(gateway)

    text = gateway.metrics()

    assert 'gateway_backfill_deliveries_total{outcome="stored"} 1.0' in text
    assert 'gateway_backfill_sweeps_total{cause="start",outcome="succeeded"}' in text
    assert "gateway_backfill_complete_until_seconds 1." in text


def test_a_client_that_only_reads_needs_no_more_than_the_feed(
    start: StartHere, story: Story
) -> None:
    """Events that were backfilled are asked for like any other."""
    gateway = start(GATEWAY_BACKFILL_INTERVAL="0.2s")
    story.simulated.control.add_fault(WebhookFault(trouble="lose", times=1))
    story.join(BOB)

    request = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True)
    stream = gateway.events.Subscribe(request, timeout=30)
    event = next(it for response in stream for it in response.events)

    assert json.loads(event.raw_json)["data"]["id"] == event.id
    stream.cancel()
    with pytest.raises(grpc.RpcError):
        next(stream)
