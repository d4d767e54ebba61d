"""Each command's first effect in the feed, in the command's own trace: with a simulated Telnyx."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from conferencing.v1.common_pb2 import AUDIO_FORMAT_MP3, RECORDING_CHANNELS_SINGLE
from conferencing.v1.event_service_pb2 import ListEventsRequest
from gateway.sandbox import RequestFault, SandboxServer
from gateway.schema.effects import declared_effects
from gateway.schema.services import COMMAND_SERVICES
from gateway.telemetry.tracing import traces_of
from tests.harness.collector import Collected, Collector
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.webhooks import Signer

JOINED = "conference.participant.joined"
ALICE, BOB, CAROL = "v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol"

EFFECTS = {
    method.partition("/")[2]: types for method, types in declared_effects(COMMAND_SERVICES).items()
}


@pytest.fixture
def gateway(
    exporting: None, loop: LoopThread, tmp_path: Path, simulated: SandboxServer
) -> Iterator[RunningGateway]:
    running = RunningGateway(
        loop,
        tmp_path,
        simulated.base_url,
        traces_of(os.environ, "1"),
        public_key=f"{simulated.public_key},{Signer().public_key}",
    )
    simulated.control.set_webhook_url(running.webhook_url)
    yield running
    running.close()


def test_every_effect_that_is_declared_comes(
    gateway: RunningGateway, simulated: SandboxServer, collector: Collector
) -> None:
    conferences, queues, control = gateway.conferences, gateway.queues, simulated.control
    created = conferences.CreateConference(
        c.CreateConferenceRequest(call_control_id=ALICE, name="Standup")
    )
    id_ = created.conference.id
    someone: dict[str, Any] = {"conference_id": id_, "call_control_ids": [BOB]}
    everyone: dict[str, Any] = {"conference_id": id_}
    conferences.JoinConference(c.JoinConferenceRequest(conference_id=id_, call_control_id=BOB))
    for audience in (someone, everyone):
        conferences.PlayAudio(c.PlayAudioRequest(**audience, media_name="m"))
        conferences.StopAudio(c.StopAudioRequest(**audience))
        conferences.SpeakText(c.SpeakTextRequest(**audience, payload="Hello", voice="female"))
        conferences.StopAudio(c.StopAudioRequest(**audience))
    conferences.StartRecording(
        c.StartRecordingRequest(
            conference_id=id_, format=AUDIO_FORMAT_MP3, channels=RECORDING_CHANNELS_SINGLE
        )
    )
    conferences.StopRecording(c.StopRecordingRequest(conference_id=id_))
    control.advance(10)
    conferences.LeaveConference(c.LeaveConferenceRequest(conference_id=id_, call_control_id=BOB))
    for leave in ("LeaveQueue", "RemoveQueuedCall"):
        queues.EnqueueCall(q.EnqueueCallRequest(call_control_id=CAROL, queue_name="q"))
        if leave == "LeaveQueue":
            queues.LeaveQueue(q.LeaveQueueRequest(call_control_id=CAROL))
        else:
            queues.RemoveQueuedCall(
                q.RemoveQueuedCallRequest(call_control_id=CAROL, queue_name="q")
            )
    conferences.EndConference(c.EndConferenceRequest(conference_id=id_))
    control.wait_until_delivered()
    wanted = {(command, type_) for command, types in EFFECTS.items() for type_ in types}

    def seen() -> set[tuple[str, str]]:
        return {
            (
                it.attributes["gateway.command"].partition("/")[2],
                it.attributes["gateway.event.type"],
            )
            for it in collector.spans
            if it.name.startswith("effect ")
        }

    collector.wait_for(lambda: seen() == wanted)


def join(gateway: RunningGateway, conference: str = "", **more: Any) -> c.JoinConferenceResponse:
    if not conference:
        created = gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Standup")
        )
        conference = created.conference.id
    request = c.JoinConferenceRequest(conference_id=conference, call_control_id=BOB)
    response: c.JoinConferenceResponse = gateway.conferences.JoinConference(request, **more)
    return response


def effect_of(collector: Collector, command: str) -> Collected:
    def found() -> list[Collected]:
        return [
            it
            for it in collector.spans
            if str(it.attributes.get("gateway.command", "")).endswith(f"/{command}")
        ]

    collector.wait_for(lambda: bool(found()))
    (effect,) = found()
    return effect


def test_an_effect_lies_below_its_command_and_is_linked_to_the_webhook_that_brought_it(
    gateway: RunningGateway, simulated: SandboxServer, collector: Collector
) -> None:
    response = join(gateway)

    effect = effect_of(collector, "JoinConference")
    command = collector.one("conferencing.v1.ConferenceService/JoinConference")
    assert (effect.trace_id, effect.parent_id) == (command.trace_id, command.span_id)
    assert effect.span.start_time_unix_nano >= command.span.start_time_unix_nano
    assert effect.attributes["gateway.receipt.cursor"] == response.receipt.cursor
    # The subscriber who begins after the receipt's cursor gets the same event, with the same trace.
    after = ListEventsRequest()
    after.filter.types.append(JOINED)
    after.filter.call_control_ids.append(BOB)
    (event,) = gateway.events.ListEvents(after).events
    assert effect.name == f"effect {event.type}"
    assert effect.attributes["gateway.event.id"] == event.id
    assert effect.attributes["gateway.event.sequence"] == event.sequence

    def webhooks() -> list[Collected]:
        named = collector.named("POST /webhooks/telnyx")
        return [it for it in named if it.attributes["gateway.event.id"] == event.id]

    collector.wait_for(lambda: bool(webhooks()))
    (webhook,) = webhooks()
    assert effect.links == [(webhook.trace_id, webhook.span_id)]
    assert event.traceparent == f"00-{webhook.trace_id}-{webhook.span_id}-03"


def test_a_command_that_was_refused_has_no_effect(
    gateway: RunningGateway, collector: Collector
) -> None:
    with pytest.raises(grpc.RpcError):
        join(gateway, "nothing", timeout=20)
    with pytest.raises(grpc.RpcError):
        join(gateway, "..", timeout=20)

    for conference in ("nothing", ".."):
        gateway.webhooks.event(JOINED, conference_id=conference, call_control_id=BOB)
    response = join(gateway)

    effect = effect_of(collector, "JoinConference")
    assert effect.attributes["gateway.receipt.cursor"] == response.receipt.cursor


def test_a_command_that_may_have_run_has_the_effect_that_shows_that_it_did(
    gateway: RunningGateway, simulated: SandboxServer, collector: Collector
) -> None:
    created = gateway.conferences.CreateConference(
        c.CreateConferenceRequest(call_control_id=ALICE, name="Standup")
    )
    lost = RequestFault(operation="conferences.actions.play", drop=True, when="after")
    simulated.control.add_fault(lost)

    request = c.PlayAudioRequest(conference_id=created.conference.id, media_name="m")
    assert failure_of(gateway.conferences.PlayAudio, request).code == grpc.StatusCode.UNKNOWN

    effect = effect_of(collector, "PlayAudio")
    assert effect.attributes["gateway.event.type"] == "conference.playback.started"
