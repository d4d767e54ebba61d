from __future__ import annotations

from tests.sandbox.stage import ALICE, BOB, CAROL, Stage, errors


def test_enqueuing_makes_the_queue(stage: Stage) -> None:
    stage.enqueue(ALICE, "sales", max_size=3, client_state="YQ==")

    queue = stage.get("/queues/sales")["data"]
    assert (queue["name"], queue["max_size"], queue["current_size"]) == ("sales", 3, 1)
    [event] = stage.events()
    assert event["event_type"] == "call.enqueued"
    assert event["occurred_at"]
    assert event["payload"]["queue"] == "sales"
    assert event["payload"]["current_position"] == 1
    assert event["payload"]["client_state"] == "YQ=="


def test_an_existing_queue_keeps_its_size(stage: Stage) -> None:
    stage.post("/queues", queue_name="support", max_size=2)

    stage.enqueue(ALICE, max_size=50)

    assert stage.get("/queues/support")["data"]["max_size"] == 2


def test_positions_and_waits_follow_the_clock(stage: Stage) -> None:
    stage.enqueue(ALICE)
    stage.control.advance(10)
    stage.enqueue(BOB)
    stage.control.advance(20)

    shown = [
        (one["call_control_id"], one["queue_position"], one["wait_time_secs"])
        for one in stage.get("/queues/support/calls")["data"]
    ]
    assert shown == [(ALICE, 1, 30), (BOB, 2, 20)]
    assert stage.get("/queues/support")["data"]["average_wait_time_secs"] == 25
    stage.post(f"/calls/{ALICE}/actions/leave_queue")
    assert stage.get(f"/queues/support/calls/{BOB}")["data"]["queue_position"] == 1


def test_leaving_says_where_and_how_long_the_call_stood(stage: Stage) -> None:
    stage.enqueue(ALICE)
    stage.enqueue(BOB, client_state="YQ==")
    stage.control.advance(42)
    stage.forget()

    answer = stage.post(f"/calls/{BOB}/actions/leave_queue")

    assert answer.json() == {"data": {"result": "ok"}}
    [event] = stage.events()
    payload = event["payload"]
    assert event["event_type"] == "call.dequeued"
    assert (payload["reason"], payload["queue_position"]) == ("leave", 2)
    assert payload["wait_time_secs"] == 42
    assert payload["client_state"] == "YQ=="


def test_a_call_that_waited_too_long_leaves(stage: Stage) -> None:
    stage.enqueue(ALICE, max_wait_time_secs=30)
    stage.forget()

    stage.control.advance(29)
    assert stage.types() == []
    stage.control.advance(1)

    [event] = stage.events()
    assert event["payload"]["reason"] == "timeout"
    assert stage.get("/queues/support/calls")["data"] == []


def test_a_call_that_left_in_time_does_not_time_out(stage: Stage) -> None:
    stage.enqueue(ALICE, max_wait_time_secs=30)
    stage.post(f"/calls/{ALICE}/actions/leave_queue")
    stage.enqueue(ALICE)
    stage.forget()

    stage.control.advance(60)

    assert stage.types() == []


def test_a_hang_up_empties_the_place(stage: Stage) -> None:
    stage.enqueue(ALICE)
    stage.forget()

    stage.control.hang_up(ALICE)

    assert stage.events()[0]["payload"]["reason"] == "hangup"


def test_a_kept_call_stays_after_its_hang_up_until_let_go(stage: Stage) -> None:
    stage.enqueue(ALICE, keep_after_hangup=True)
    stage.forget()

    stage.control.hang_up(ALICE)
    path = f"/queues/support/calls/{ALICE}"
    assert stage.get(path)["data"]["is_alive"] is False
    assert stage.types() == []
    answer = stage.http.patch(path, json={"keep_after_hangup": False})

    assert (answer.status_code, answer.content) == (204, b"")
    assert stage.events()[0]["payload"]["reason"] == "hangup"
    assert stage.http.get(path).status_code == 404


def test_a_kept_call_cannot_join_a_conference(stage: Stage) -> None:
    stage.enqueue(ALICE, keep_after_hangup=True)
    stage.control.hang_up(ALICE)

    answer = stage.post(f"/conferences/{stage.create(BOB)}/actions/join", call_control_id=ALICE)

    assert errors(answer) == [("90018", "/call_control_id")]


def test_a_queued_call_can_be_removed(stage: Stage) -> None:
    stage.enqueue(ALICE)

    answer = stage.http.delete(f"/queues/support/calls/{ALICE}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert stage.control.call(ALICE).queue_name is None
    assert stage.http.delete(f"/queues/support/calls/{ALICE}").status_code == 404


def test_a_full_queue_refuses(stage: Stage) -> None:
    stage.post("/queues", queue_name="support", max_size=1)
    stage.enqueue(ALICE)

    answer = stage.post(f"/calls/{BOB}/actions/enqueue", queue_name="support")

    assert answer.status_code == 422
    assert errors(answer) == [("90036", None)]


def test_a_call_is_in_one_queue_and_not_in_a_conference(stage: Stage) -> None:
    stage.enqueue(ALICE)
    stage.create(BOB)

    def refused(call: str) -> list[tuple[str, str | None]]:
        return errors(stage.post(f"/calls/{call}/actions/enqueue", queue_name="other"))

    assert refused(ALICE) == [("90038", None)]
    assert refused(BOB) == [("90033", None)]
    assert errors(stage.post(f"/calls/{CAROL}/actions/leave_queue")) == [("90033", None)]
    assert stage.http.get("/queues/other").status_code == 404


def test_ended_and_unknown_calls_are_told_apart(stage: Stage) -> None:
    stage.control.hang_up(ALICE)

    ended = stage.post(f"/calls/{ALICE}/actions/enqueue", queue_name="support")
    unknown = stage.post("/calls/v3:nobody/actions/enqueue", queue_name="support")

    assert (ended.status_code, errors(ended)) == (422, [("90018", None)])
    assert (unknown.status_code, errors(unknown)) == (404, [("10005", None)])


def test_queues_are_created_once_and_updated(stage: Stage) -> None:
    created = stage.post("/queues", queue_name="support").json()["data"]
    again = stage.post("/queues", queue_name="support")
    stage.control.advance(5)
    updated = stage.post("/queues/support", max_size=9).json()["data"]

    assert created["record_type"] == "queue"
    assert (again.status_code, errors(again)) == (422, [("10012", "/queue_name")])
    assert (updated["id"], updated["max_size"]) == (created["id"], 9)
    assert updated["updated_at"] > updated["created_at"]
    assert stage.post("/queues/other", max_size=9).status_code == 404


def test_only_an_empty_queue_can_be_deleted(stage: Stage) -> None:
    stage.enqueue(ALICE)

    used = stage.http.delete("/queues/support")
    stage.post(f"/calls/{ALICE}/actions/leave_queue")
    empty = stage.http.delete("/queues/support")

    assert (used.status_code, errors(used)) == (422, [("10021", None)])
    assert (empty.status_code, empty.content) == (204, b"")
    assert stage.get("/queues")["data"] == []


def test_a_queue_may_have_any_name(stage: Stage) -> None:
    stage.enqueue(ALICE, "a/b & c?")

    assert stage.get("/queues/a%2Fb%20%26%20c%3F")["data"]["name"] == "a/b & c?"
