"""Random callers, events and RPCs on a real gateway, compared with a model of ten lines."""

import random
from typing import Any

import grpc
import pytest
from google.api.field_behavior_pb2 import REQUIRED, field_behavior
from google.protobuf.message_factory import GetMessageClass

from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    ListEventsRequest,
    SubscribeRequest,
    WatchConferenceRequest,
)
from gateway.callers.caller import Caller
from gateway.schema.services import COMMAND_SERVICES
from tests.conftest import StartGateway
from tests.harness.bound import (
    CALLS,
    CONFERENCES,
    QUEUES,
    Introduced,
    account,
    caller,
    introduced,
    model,
)
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.provider import RecordingProvider

ROUNDS = 600
METHODS = [method for service in COMMAND_SERVICES for method in service.methods]


def drawn_caller(random_: random.Random, number: int) -> Caller:
    connections = random_.sample(["a", "b", "c"], random_.randint(0, 3))
    queues = random_.choice([None, {"support"}, {"sales", "support"}])
    return caller(*connections, queues=queues, name=f"caller-{number}")


def drawn_request(random_: random.Random, method: Any) -> Any:
    request: Any = GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.name == "filter" and method.name == "ListConferences":
            request.filter.connection_id = random_.choice(["", "", "a", "b", "z"])
        elif REQUIRED not in field.GetOptions().Extensions[field_behavior] and not (
            field.name.endswith(("call_control_id", "call_control_ids")) and random_.random() < 0.5
        ):
            continue
        elif field.is_repeated:
            getattr(request, field.name).extend(random_.sample([*CALLS], random_.randint(1, 2)))
        elif field.type == field.TYPE_STRING:
            setattr(request, field.name, drawn_text(random_, field.name))
        else:
            setattr(request, field.name, 1)
    return request


def drawn_text(random_: random.Random, name: str) -> str:
    if name.endswith("call_control_id"):
        return random_.choice([*CALLS, "v3:unknown"])
    match name:
        case "conference_id":
            return random_.choice([*CONFERENCES, "conf-unknown"])
        case "queue_name":
            return random_.choice(QUEUES)
    return "any"


class Stage:
    def __init__(self, gateway: RunningGateway, provider: RecordingProvider) -> None:
        self.gateway, self.provider = gateway, provider
        self.hook: Introduced = introduced(gateway)
        provider.answer = account
        # The events by their ids, with their connections.
        self.events: dict[str, str] = {}

    def post(self, **payload: str) -> None:
        id_ = self.gateway.webhooks.event("conference.participant.joined", **payload)
        self.events[id_] = payload.get("connection_id", "")

    def ends(self, rpc: Any, request: Any, who: Caller) -> str:
        try:
            rpc(request, timeout=20, **self.hook.calling(who))
        except grpc.RpcError as error:
            return str(Failure(error).info.reason)
        return ""


@pytest.fixture
def stage(start_gateway: StartGateway, provider: RecordingProvider) -> Stage:
    stage = Stage(start_gateway(provider.base_url), provider)
    for call, connection in CALLS.items():
        if connection is not None:
            stage.post(call_control_id=call, connection_id=connection, conference_id="conf-a")
    stage.post(call_control_id="v3:none", conference_id="conf-a")
    return stage


def test_commands_and_queries_do_what_the_model_says(stage: Stage) -> None:
    random_, met = random.Random(14), set[tuple[str, str]]()

    for number in range(ROUNDS):
        who = drawn_caller(random_, number % 40)
        method = METHODS[number % len(METHODS)]
        request = drawn_request(random_, method)
        gateway = stage.gateway
        stub = gateway.queues if hasattr(gateway.queues, method.name) else gateway.conferences
        stage.provider.requests.clear()

        expected = model(who, method.name, request)
        got = stage.ends(getattr(stub, method.name), request, who)

        if not expected and getattr(request, "conference_id", "") == "conf-unknown":
            expected = "NOT_FOUND" if method.name == "GetConference" else ""
        assert got == expected, (number, who, method.name, request)
        sent = [it for it in stage.provider.requests if it.method != "GET"]
        is_query = method.GetOptions().idempotency_level == 1
        assert len(sent) == (0 if is_query or got else 1), (number, method.name)
        met.add((method.name, got))

    assert {reason for _, reason in met} == {
        "",
        "NOT_FOUND",
        "CALL_NOT_TIED",
        "QUEUE_NOT_GRANTED",
        "INVALID_REQUEST",
    }
    assert {name for name, reason in met if not reason} == {it.name for it in METHODS}


def test_events_are_seen_as_the_model_says(stage: Stage) -> None:
    random_ = random.Random(15)
    for number in range(30):
        connection = random_.choice(["a", "b", "c", ""])
        keys = {"connection_id": connection} if connection else {}
        stage.post(conference_id=random_.choice([*CONFERENCES]), name=str(number), **keys)
    events = stage.gateway.events

    for number in range(30):
        who = drawn_caller(random_, number)
        own = who.connections
        seen = [id_ for id_, of in stage.events.items() if own is None or of in own]
        called = stage.hook.calling(who)

        pages = events.ListEvents(ListEventsRequest(page_size=1_000), **called)
        request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
        streamed = [it.id for batch in events.Subscribe(request, **called) for it in batch.events]

        assert [it.id for it in pages.events] == streamed == seen
        for id_ in random_.sample([*stage.events], 5):
            found = stage.ends(events.GetEvent, GetEventRequest(event_id=id_), who)
            assert found == ("" if id_ in seen else "NOT_FOUND")
        conference_id = random_.choice([*CONFERENCES, "conf-unknown"])
        watch = events.WatchConference(
            WatchConferenceRequest(conference_id=conference_id), **called
        )
        may = conference_id in CONFERENCES and (own is None or CONFERENCES[conference_id] in own)
        assert opened(watch) == ("" if may else "NOT_FOUND")


def opened(stream: Any) -> str:
    """Why a stream does not open, empty if it does."""
    try:
        next(stream)
    except grpc.RpcError as error:
        return str(Failure(error).info.reason)
    stream.cancel()
    return ""
