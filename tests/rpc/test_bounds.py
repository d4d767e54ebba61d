"""What callers that are bound get of a gateway, in the details that a model leaves out."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from conferencing.v1.common_pb2 import REGION_EUROPE
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, WatchConferenceRequest
from gateway.callers.caller import Caller
from tests.conftest import StartGateway
from tests.harness.bound import CONFERENCES, account, caller, introduced
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider, SentRequest

A = caller("a")
# An id that differs from no other in length, so that statuses can be compared whole.
ABSENT = "conf-x"


class Stage:
    def __init__(self, gateway: RunningGateway, provider: RecordingProvider) -> None:
        self.gateway, self.provider = gateway, provider
        self.calling = introduced(gateway).calling
        self.conferences, self.queues, self.events = (
            gateway.conferences,
            gateway.queues,
            gateway.events,
        )
        provider.answer = account

    def fails(self, rpc: Any, request: Any, who: Caller = A, **more: Any) -> Failure:
        return failure_of(rpc, request, **self.calling(who), **more)

    def sent(self) -> list[str]:
        """What the provider has been asked for since the last time."""
        found = [f"{it.method} {it.path.removeprefix('/v2')}" for it in self.provider.requests]
        self.provider.requests.clear()
        return found

    def end(self, conference_id: str, who: Caller = A, **more: Any) -> Any:
        request = c.EndConferenceRequest(conference_id=conference_id)
        return self.conferences.EndConference(request, timeout=20, **self.calling(who), **more)


@pytest.fixture
def stage(start_gateway: StartGateway, provider: RecordingProvider) -> Stage:
    return Stage(start_gateway(provider.base_url), provider)


@pytest.mark.parametrize("rpc", ["GetConference", "EndConference", "WatchConference"])
def test_a_conference_of_others_cannot_be_told_from_none(stage: Stage, rpc: str) -> None:
    def ends_for(conference_id: str) -> tuple[bytes, list[str]]:
        if rpc == "WatchConference":
            request: Any = WatchConferenceRequest(conference_id=conference_id)
            failure = stage.fails(stage.events.WatchConference, request)
        else:
            request = getattr(c, f"{rpc}Request")(conference_id=conference_id)
            failure = stage.fails(getattr(stage.conferences, rpc), request)
        assert failure.code is grpc.StatusCode.NOT_FOUND
        status = failure.status.SerializeToString()
        own = conference_id.encode()
        assert own in status
        return status.replace(own, b"*"), [it.replace(conference_id, "*") for it in stage.sent()]

    # The second time, too: what is not let through is not remembered.
    ends = [ends_for(it) for it in ("conf-b", ABSENT, "conf-b", ABSENT)]

    assert ends[0][1] == ["GET /conferences/*"]
    assert ends == [ends[0]] * 4


def test_a_conference_of_the_callers_own_is_looked_up_once(stage: Stage) -> None:
    stage.end("conf-a")
    assert stage.sent() == ["GET /conferences/conf-a", "POST /conferences/conf-a/actions/end"]

    stage.end("conf-a")
    assert stage.sent() == ["POST /conferences/conf-a/actions/end"]


def test_what_one_caller_was_let_through_to_is_not_open_to_another(stage: Stage) -> None:
    stage.end("conf-a")

    request = c.EndConferenceRequest(conference_id="conf-a")
    failure = stage.fails(stage.conferences.EndConference, request, caller("b", name="other"))
    assert failure.code is grpc.StatusCode.NOT_FOUND


def test_for_a_caller_that_is_not_bound_nothing_is_looked_up(stage: Stage) -> None:
    stage.conferences.EndConference(c.EndConferenceRequest(conference_id="conf-b"))

    assert stage.sent() == ["POST /conferences/conf-b/actions/end"]


def test_the_region_of_a_conference_is_asked_about(stage: Stage) -> None:
    request = c.GetConferenceRequest(conference_id="conf-a", region=REGION_EUROPE)
    stage.conferences.GetConference(request, **stage.calling(A))

    assert stage.provider.requests[0].query["region"]
    assert stage.provider.requests[0].query == stage.provider.requests[1].query


@pytest.mark.parametrize("conference_id", ["conf-a", "conf-b", ABSENT])
def test_a_request_with_a_fault_is_told_of_it_before_anything_is_looked_up(
    stage: Stage, conference_id: str
) -> None:
    request = c.SpeakTextRequest(conference_id=conference_id, payload="Hi")
    failure = stage.fails(stage.conferences.SpeakText, request)

    assert failure.violations == {"voice": "is required"}
    assert stage.sent() == []


def test_where_it_cannot_be_told_whose_a_conference_is_nothing_is_sent(stage: Stage) -> None:
    stage.provider.answer = Answer(403, {"errors": [{"code": "10010", "title": "no"}]})
    failure = stage.fails(
        stage.conferences.SpeakText,
        c.SpeakTextRequest(conference_id="conf-a", payload="Hi", voice="female"),
    )

    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert failure.message.startswith("cannot tell whose conference this is: ")
    told = failure.info.metadata
    assert (told["method"], told["attempts"], told["outcome"]) == ("SpeakText", "0", "not_sent")
    assert set(stage.sent()) == {"GET /conferences/conf-a"}


def test_the_question_is_within_the_deadline_of_the_call(stage: Stage) -> None:
    with stage.provider.hanging():
        failure = stage.fails(
            stage.conferences.EndConference,
            c.EndConferenceRequest(conference_id="conf-a"),
            timeout=0.5,
        )

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failure.info.metadata["outcome"] == "not_sent"


def test_a_conference_without_a_connection_is_nobodys(stage: Stage) -> None:
    stage.provider.answer = Answer(body={"data": {"id": "conf-a"}})

    request = c.GetConferenceRequest(conference_id="conf-a")
    failure = stage.fails(stage.conferences.GetConference, request)
    assert failure.code is grpc.StatusCode.NOT_FOUND


def test_a_call_is_tied_by_its_newest_event_with_a_connection(stage: Stage) -> None:
    request = q.LeaveQueueRequest(call_control_id="v3:1")
    failure = stage.fails(stage.queues.LeaveQueue, request)
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert failure.info.reason == "CALL_NOT_TIED"
    assert "call_control_id" in failure.violations

    post = stage.gateway.webhooks.event
    post("call.enqueued", call_control_id="v3:1", connection_id="b", queue="support")
    assert stage.fails(stage.queues.LeaveQueue, request).info.reason == "CALL_NOT_TIED"

    post("call.enqueued", call_control_id="v3:1", connection_id="a", queue="support")
    post("call.machine.premium", call_control_id="v3:1")
    stage.queues.LeaveQueue(request, **stage.calling(A))
    assert stage.sent() == ["POST /calls/v3:1/actions/leave_queue"]


def test_every_call_that_a_request_names_must_be_tied(stage: Stage) -> None:
    post = stage.gateway.webhooks.event
    post("call.enqueued", call_control_id="v3:1", connection_id="a", queue="support")
    post("call.enqueued", call_control_id="v3:2", connection_id="b", queue="support")
    request = c.JoinConferenceRequest(
        conference_id="conf-a", call_control_id="v3:1", whisper_call_control_ids=["v3:1", "v3:2"]
    )

    failure = stage.fails(stage.conferences.JoinConference, request)
    assert list(failure.violations) == ["whisper_call_control_ids[1]"]
    assert stage.sent() == ["GET /conferences/conf-a"]


def test_a_list_of_conferences_is_asked_for_by_connection(stage: Stage) -> None:
    listed = stage.conferences.ListConferences(c.ListConferencesRequest(), **stage.calling(A))
    assert [it.id for it in listed.conferences] == ["conf-a"]
    assert listed.total_size == 1
    assert stage.provider.last.query["filter[connection_id]"] == "a"

    both = caller("a", "b", name="both")
    failure = stage.fails(stage.conferences.ListConferences, c.ListConferencesRequest(), both)
    assert list(failure.violations) == ["filter.connection_id"]


def test_what_the_provider_lists_beside_what_was_asked_for_is_not_passed_on(stage: Stage) -> None:
    items = [{"id": id_, "connection_id": of} for id_, of in CONFERENCES.items()]
    meta = {"total_results": len(items), "total_pages": 1}
    stage.provider.answer = Answer(body={"data": items, "meta": meta})

    listed = stage.conferences.ListConferences(c.ListConferencesRequest(), **stage.calling(A))
    assert [it.id for it in listed.conferences] == ["conf-a"]
    assert listed.total_size == 0


def test_the_pages_of_a_list_by_connection_go_on_as_for_anybody(stage: Stage) -> None:
    def pages(request: SentRequest) -> Answer:
        number = request.query.get("page[number]", "1")
        item = {"id": f"conf-{number}", "connection_id": request.query["filter[connection_id]"]}
        meta = {"total_results": 2, "total_pages": 2, "page_number": int(number), "page_size": 1}
        return Answer(body={"data": [item], "meta": meta})

    stage.provider.answer = pages
    request, found = c.ListConferencesRequest(page_size=1), []
    while True:
        listed = stage.conferences.ListConferences(request, **stage.calling(A))
        found += [it.id for it in listed.conferences]
        assert listed.total_size == 2
        if not listed.next_page_token:
            break
        request.page_token = listed.next_page_token

    assert found == ["conf-1", "conf-2"]
    # The token is one of this caller's list.
    first = stage.conferences.ListConferences(
        c.ListConferencesRequest(page_size=1), **stage.calling(A)
    )
    other = c.ListConferencesRequest(page_size=1, page_token=first.next_page_token)
    failure = stage.fails(stage.conferences.ListConferences, other, caller("b", name="other"))
    assert list(failure.violations) == ["page_token"]


def test_a_list_of_queues_has_those_that_were_granted_and_no_total(stage: Stage) -> None:
    who = caller("a", queues={"sales"}, name="sales")
    listed = stage.queues.ListQueues(q.ListQueuesRequest(), **stage.calling(who))
    assert [it.name for it in listed.queues] == ["sales"]
    assert listed.total_size == 0

    failure = stage.fails(stage.queues.ListQueues, q.ListQueuesRequest())
    assert (failure.code.name, failure.info.reason) == ("PERMISSION_DENIED", "QUEUE_NOT_GRANTED")


def test_a_queue_that_was_not_granted_is_refused_whether_it_exists_or_not(stage: Stage) -> None:
    ends = [
        stage.fails(stage.queues.GetQueue, q.GetQueueRequest(queue_name=name))
        for name in ("support", "nowhere")
    ]

    assert ends[0].status == ends[1].status
    assert ends[0].info.reason == "QUEUE_NOT_GRANTED"
    assert stage.sent() == []


def test_a_caller_that_is_bound_to_queues_alone_has_all_conferences(stage: Stage) -> None:
    stage.end("conf-b", caller(queues={"sales"}, name="sales"))

    assert stage.sent() == ["POST /conferences/conf-b/actions/end"]


def test_the_state_of_the_feed_does_not_tell_how_much_others_have(stage: Stage) -> None:
    stage.gateway.webhooks.event(connection_id="b", conference_id="conf-b")
    everything = stage.events.GetFeedInfo(GetFeedInfoRequest())
    mine = stage.events.GetFeedInfo(GetFeedInfoRequest(), **stage.calling(A))

    told = {it.name for it, _ in mine.ListFields()}
    assert told == {"epoch", "oldest_cursor", "newest_cursor", "retention_age"} | {
        "retention_bytes",
        "backend",
        "backfill",
        "clock",
        "replica",
        "durability",
    }
    assert {it.name for it, _ in mine.backfill.ListFields()} <= {
        "state",
        "complete_since",
        "complete_until",
        "finished_at",
    }
    assert mine.newest_cursor == everything.newest_cursor
    assert everything.event_count == 1


def test_the_resource_that_is_not_there_is_the_conference(stage: Stage) -> None:
    request = c.GetConferenceRequest(conference_id="conf-b")
    found = stage.fails(stage.conferences.GetConference, request)

    resource = found.detail(error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("conference", "conf-b")
