"""Callers that the file binds: from its line to what they see, with nothing set by hand."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    SubscribeRequest,
    WatchConferenceRequest,
)
from tests.conftest import StartGateway
from tests.harness.bound import account
from tests.harness.callers import bearer, with_token
from tests.harness.gateway import Failure, failure_of
from tests.harness.guarded import Guarded, end_of
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider
from tests.harness.webhooks import webhook

ADMIN = with_token("root", "admin", "root-token")


def desk(*connections: str, queues: str = "") -> str:
    listed = ", ".join(f'"{it}"' for it in connections)
    return (
        with_token("desk", "admin", "desk-token")
        + f"connections = [{listed}]\n"
        + (f'queues = ["{queues}"]\n' if queues else "")
    )


@pytest.fixture
def guarded(
    loop: LoopThread, start_gateway: StartGateway, provider: RecordingProvider, tmp_path: Path
) -> Guarded:
    provider.answer = account

    def start(**env: str) -> Any:
        return start_gateway(provider.base_url, **env)

    return Guarded(loop, start, tmp_path / "callers.toml", ADMIN, desk("a", queues="support"))


def of(connection: str) -> bytes:
    """A webhook of a connection."""
    payload = {"conference_id": "conf-1", "connection_id": connection}
    return webhook(payload=payload, id_=f"of-{connection}")


def events_of(guarded: Guarded, token: str) -> list[str]:
    request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    stream = guarded.gateway.events.Subscribe(request, metadata=bearer(token), timeout=20)
    return [event.id for response in stream for event in response.events]


def test_a_caller_sees_the_events_of_the_connections_in_its_line(guarded: Guarded) -> None:
    for connection in ("a", "b"):
        guarded.gateway.webhooks.post(of(connection))

    assert events_of(guarded, "root-token") == ["of-a", "of-b"]
    assert events_of(guarded, "desk-token") == ["of-a"]
    hidden = failure_of(
        guarded.gateway.events.GetEvent,
        GetEventRequest(event_id="of-b"),
        metadata=bearer("desk-token"),
    )
    assert hidden.code.name == "NOT_FOUND"


def test_a_caller_commands_the_conferences_and_queues_of_its_line(guarded: Guarded) -> None:
    conferences, queues = guarded.gateway.conferences, guarded.gateway.queues

    def code(rpc: Any, request: Any, token: str) -> str:
        try:
            rpc(request, metadata=bearer(token), timeout=20)
        except grpc.RpcError as error:
            return Failure(error).code.name
        return "OK"

    def codes(token: str) -> list[str]:
        ends = [c.EndConferenceRequest(conference_id=f"conf-{it}") for it in ("a", "b")]
        gets = [q.GetQueueRequest(queue_name=it) for it in ("support", "sales")]
        return [
            *(code(conferences.EndConference, it, token) for it in ends),
            *(code(queues.GetQueue, it, token) for it in gets),
        ]

    assert codes("root-token") == ["OK"] * 4
    assert codes("desk-token") == ["OK", "NOT_FOUND", "OK", "PERMISSION_DENIED"]


def test_a_line_that_changes_ends_streams_that_see_something_else(guarded: Guarded) -> None:
    stream = guarded.subscribe("desk-token")
    watch = failure_of(
        guarded.gateway.events.WatchConference,
        WatchConferenceRequest(conference_id="conf-b"),
        metadata=bearer("desk-token"),
    )
    assert watch.code.name == "NOT_FOUND"

    guarded.put(ADMIN, desk("b"))
    guarded.end_revoked()

    end = end_of(stream)
    assert (end.code.name, end.info.reason) == ("UNAVAILABLE", "CALLER_CHANGED")
    guarded.gateway.webhooks.post(of("b"))
    assert events_of(guarded, "desk-token") == ["of-b"]
