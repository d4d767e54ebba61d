"""Trouble on demand."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from gateway.sandbox import ControlError, RequestFault, WebhookFault
from tests.sandbox.stage import ALICE, BOB, CAROL, Stage, errors

MUTE = "conferences.actions.mute"


def mute(stage: Stage, conference: str) -> httpx.Response:
    return stage.post(f"/conferences/{conference}/actions/mute")


def test_a_status_before_execution_keeps_the_command_from_running(stage: Stage) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(operation=MUTE, status=503, times=1))

    answers = [mute(stage, conference) for _ in range(2)]

    assert [one.status_code for one in answers] == [503, 200]
    assert errors(answers[0]) == [("10007", None)]
    assert len(stage.control.executions(MUTE)) == 1


def test_a_status_after_execution_hides_that_it_ran(stage: Stage) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(operation=MUTE, status=500, times=1, when="after"))

    assert mute(stage, conference).status_code == 500
    assert len(stage.control.executions(MUTE)) == 1
    assert stage.participant(conference, ALICE)["muted"] is True


def test_too_many_requests_says_when_to_come_back(stage: Stage) -> None:
    stage.control.add_fault(RequestFault(status=429, headers={"Retry-After": "7"}, times=1))
    stage.control.add_fault(
        RequestFault(status=429, headers={"x-ratelimit-reset": "99"}, body={"own": 1}, times=1)
    )

    first, second, third = (stage.http.get("/queues") for _ in range(3))

    assert (first.status_code, second.status_code, third.status_code) == (429, 429, 200)
    assert first.headers["retry-after"] == "7"
    assert int(first.headers["x-ratelimit-reset"]) > 1_000_000_000
    assert errors(first) == [("10011", None)]
    assert second.headers["x-ratelimit-reset"] == "99"
    assert second.json() == {"own": 1}


def test_an_answer_can_be_anything(stage: Stage) -> None:
    page = "<html>Bad Gateway</html>"
    stage.control.add_fault(RequestFault(status=502, body=page, times=1))
    stage.control.add_fault(RequestFault(status=200, body={"data": 7}, times=1))
    stage.control.add_fault(RequestFault(status=204, body={"data": 7}, times=1))

    first, second, third = (stage.http.get("/queues") for _ in range(3))

    assert (first.status_code, first.text) == (502, page)
    assert first.headers["content-type"].startswith("text/html")
    assert second.json() == {"data": 7}
    assert third.content == b""


@pytest.mark.parametrize(("when", "executed"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_gives_no_answer(stage: Stage, when: Any, executed: int) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(operation=MUTE, drop=True, times=1, when=when))

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        mute(stage, conference)

    assert len(stage.control.executions(MUTE)) == executed
    [request] = stage.control.requests(MUTE)
    assert request.status is None
    assert mute(stage, conference).status_code == 200


def test_a_lost_answer_and_a_repeat_under_the_same_id_run_once(stage: Stage) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(drop=True, times=1, when="after"))
    path = f"/conferences/{conference}/actions/speak"
    speak = {"payload": "Hi", "voice": "female", "command_id": "c-1"}

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        stage.post(path, **speak)

    assert stage.post(path, **speak).status_code == 200
    assert len(stage.control.executions("conferences.actions.speak")) == 1


def test_a_delayed_answer_waits_for_the_clock(stage: Stage) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(operation=MUTE, delay_seconds=5, times=1, when="after"))
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(mute(stage, conference)))
    caller.start()
    while not stage.control.executions(MUTE):
        pass

    stage.control.advance(4.9)
    assert stage.control.requests(MUTE)[0].status is None
    stage.control.advance(0.1)
    caller.join(5)

    assert [one.status_code for one in answers] == [200]


def test_a_delay_before_execution_still_executes(stage: Stage) -> None:
    conference = stage.create()
    stage.control.add_fault(RequestFault(operation=MUTE, delay_seconds=5, times=1))
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(mute(stage, conference)))
    caller.start()
    while stage.control.faults()[0]["left"] != 0:
        pass

    assert stage.control.executions(MUTE) == []
    stage.control.advance(5)
    caller.join(5)

    assert [one.status_code for one in answers] == [200]
    assert len(stage.control.executions(MUTE)) == 1


def test_a_fault_can_be_for_one_conference_or_one_call(stage: Stage) -> None:
    first, second = stage.create(ALICE), stage.create(BOB)
    stage.control.add_fault(RequestFault(conference_id=first, status=500))
    stage.control.add_fault(RequestFault(call_control_id=CAROL, status=502))

    def join(conference: str, call: str) -> int:
        path = f"/conferences/{conference}/actions/join"
        return stage.post(path, call_control_id=call).status_code

    assert mute(stage, first).status_code == 500
    assert stage.http.get(f"/conferences/{first}/participants").status_code == 500
    assert mute(stage, second).status_code == 200
    assert join(second, CAROL) == 502
    path = f"/conferences/{second}/actions/mute"
    assert stage.post(path, call_control_ids=[BOB, CAROL]).status_code == 502
    assert stage.post(f"/calls/{CAROL}/actions/leave_queue").status_code == 502
    stage.control.clear_faults()
    assert join(second, CAROL) == 200


def test_odds_are_the_same_for_the_same_seed(stage: Stage) -> None:
    def run(seed: int) -> list[int]:
        stage.control.clear_faults()
        stage.control.add_fault(
            RequestFault(operation="queues.list", status=500, probability=0.5, seed=seed)
        )
        return [stage.http.get("/queues").status_code for _ in range(20)]

    first = run(1)

    assert set(first) == {200, 500}
    assert run(1) == first
    assert run(2) != first


def test_faults_are_listed_with_what_is_left(stage: Stage) -> None:
    stage.control.add_fault(RequestFault(operation="queues.list", status=500, times=3))
    stage.control.add_fault(WebhookFault(trouble="lose"))
    stage.http.get("/queues")

    listed = stage.control.faults()

    assert [(one["on"], one["left"]) for one in listed] == [("request", 2), ("webhook", None)]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"status": 500, "drop": True},
        {"status": 99},
        {"status": 500, "times": 0},
        {"status": 500, "probability": 0},
        {"status": 500, "when": "sometime"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|status|times|probability|when"):
        RequestFault(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"trouble": "eat"}, {"trouble": "lose", "copies": 0}, {"trouble": "lose", "times": 0}]
)
def test_a_webhook_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"trouble|copies|times"):
        WebhookFault(**wrong)


@pytest.mark.parametrize("body", [{}, {"on": "request", "colour": 1}, {"on": "webhook"}])
def test_the_control_api_explains_a_wrong_fault(stage: Stage, body: dict[str, Any]) -> None:
    answer = stage.http.post(f"{stage.control.address}/_sandbox/faults", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_duplicates_have_the_same_id(stage: Stage) -> None:
    stage.control.add_fault(
        WebhookFault(trouble="duplicate", event_type="conference.created", copies=2, times=1)
    )
    stage.create()
    stage.control.wait_until_delivered()

    assert stage.receiver.types == ["conference.created"] * 3 + ["conference.participant.joined"]
    assert len({one.data["id"] for one in stage.receiver.received[:3]}) == 1
    assert len({one.raw for one in stage.receiver.received[:3]}) == 1


def test_a_webhook_can_be_passed_by_others(stage: Stage) -> None:
    stage.control.add_fault(
        WebhookFault(trouble="reorder", event_type="conference.created", after=2, times=1)
    )
    stage.meet(ALICE, BOB)
    stage.control.wait_until_delivered()

    assert stage.receiver.types == ["conference.participant.joined"] * 2 + ["conference.created"]


def test_a_webhook_that_nothing_passes_goes_out_in_the_end(stage: Stage) -> None:
    stage.control.add_fault(WebhookFault(trouble="reorder", after=5))
    stage.enqueue(ALICE)
    assert stage.types() == []

    stage.control.advance(10)

    assert stage.types() == ["call.enqueued"]


def test_clearing_faults_lets_go_of_what_is_held(stage: Stage) -> None:
    stage.control.add_fault(WebhookFault(trouble="reorder", after=5))
    stage.enqueue(ALICE)

    stage.control.clear_faults()
    stage.control.wait_until_delivered()

    assert stage.receiver.types == ["call.enqueued"]


def test_a_lost_webhook_is_only_in_the_log(stage: Stage) -> None:
    stage.control.add_fault(WebhookFault(trouble="lose", event_type="conference.created"))
    stage.create()
    stage.control.wait_until_delivered()

    assert stage.receiver.types == ["conference.participant.joined"]
    [lost] = stage.get("/webhook_deliveries", **{"filter[status][eq]": "failed"})["data"]
    assert lost["webhook"]["event_type"] == "conference.created"


def test_a_delayed_webhook_is_passed_meanwhile(stage: Stage) -> None:
    stage.control.add_fault(
        WebhookFault(trouble="delay", event_type="conference.created", delay_seconds=4)
    )
    stage.create()
    assert stage.types() == ["conference.participant.joined"]

    stage.control.advance(4)

    assert stage.types() == ["conference.participant.joined", "conference.created"]


def test_faults_do_not_reach_the_control_api(stage: Stage) -> None:
    stage.control.add_fault(RequestFault(drop=True))

    assert stage.control.health()["status"] == "ok"
    with pytest.raises(ControlError, match="no call"):
        stage.control.hang_up("v3:nobody")
