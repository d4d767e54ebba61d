"""Operations on queues against the simulated Telnyx: what went out, what came back.

The expected requests are written out by hand: they are what the provider's reference documents.
"""

import pytest

from conferencing.v1 import queue_service_pb2 as q
from tests.rpc.operations.stage import ALICE, BOB, Stage, assert_ran


def test_queues_are_created_listed_found_updated_and_deleted(stage: Stage) -> None:
    rpc = stage.gateway.queues

    created = rpc.CreateQueue(q.CreateQueueRequest(queue_name="VIP line", max_size=5))
    assert stage.received().path == "/v2/queues"
    assert stage.received().body == {"queue_name": "VIP line", "max_size": 5}
    assert (created.queue.name, created.queue.max_size) == ("VIP line", 5)

    listed = rpc.ListQueues(q.ListQueuesRequest(page_size=5))
    assert [queue.name for queue in listed.queues] == ["VIP line"]

    found = rpc.GetQueue(q.GetQueueRequest(queue_name="VIP line")).queue
    assert stage.received().path == "/v2/queues/VIP%20line"
    assert found.id == created.queue.id

    updated = rpc.UpdateQueue(q.UpdateQueueRequest(queue_name="VIP line", max_size=9))
    assert (stage.received().method, stage.received().body) == ("POST", {"max_size": 9})
    assert updated.queue.max_size == 9

    deleted = rpc.DeleteQueue(q.DeleteQueueRequest(queue_name="VIP line"))
    assert (stage.received().method, stage.received().status) == ("DELETE", 204)
    assert deleted.receipt.cursor


def test_calls_are_queued_listed_found_updated_and_taken_out(stage: Stage) -> None:
    rpc = stage.gateway.queues
    response = rpc.EnqueueCall(
        q.EnqueueCallRequest(
            call_control_id=ALICE,
            queue_name="support",
            client_state="c3RhdGU=",
            command_id="x",
            keep_after_hangup=True,
            max_size=20,
            max_wait_time_secs=300,
        )
    )
    assert stage.received().path == f"/v2/calls/{ALICE}/actions/enqueue"
    assert stage.received().body == {
        "queue_name": "support",
        "client_state": "c3RhdGU=",
        "command_id": "x",
        "keep_after_hangup": True,
        "max_size": 20,
        "max_wait_time_secs": 300,
    }
    assert_ran(response.receipt, "x")
    rpc.EnqueueCall(q.EnqueueCallRequest(call_control_id=BOB, queue_name="support"))

    listed = rpc.ListQueuedCalls(q.ListQueuedCallsRequest(queue_name="support"))
    assert stage.received().path == "/v2/queues/support/calls"
    assert [(it.call_control_id, it.queue_position) for it in listed.calls] == [
        (ALICE, 1),
        (BOB, 2),
    ]
    found = rpc.GetQueuedCall(
        q.GetQueuedCallRequest(queue_name="support", call_control_id=ALICE)
    ).call
    path = f"/v2/queues/support/calls/{ALICE}"
    assert stage.received().path == path
    assert found.caller.startswith("+")
    assert found.to.startswith("+")

    rpc.UpdateQueuedCall(
        q.UpdateQueuedCallRequest(
            queue_name="support", call_control_id=ALICE, keep_after_hangup=False
        )
    )
    received = stage.received()
    assert (received.method, received.path, received.body, received.status) == (
        "PATCH",
        path,
        {"keep_after_hangup": False},
        204,
    )
    removed = rpc.RemoveQueuedCall(
        q.RemoveQueuedCallRequest(queue_name="support", call_control_id=ALICE)
    )
    assert (stage.received().method, stage.received().path) == ("DELETE", path)
    assert removed.receipt.cursor

    left = rpc.LeaveQueue(q.LeaveQueueRequest(call_control_id=BOB, command_id="y"))
    assert stage.received().path == f"/v2/calls/{BOB}/actions/leave_queue"
    assert_ran(left.receipt, "y")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["Süd", "客服", "a/b", "../a", "a\\b", "%2F", "..;", "a?b#c", "a b", "é" * 255, "\n"]
)
def test_a_queue_is_found_by_whatever_name_it_was_created_under(stage: Stage, name: str) -> None:
    rpc = stage.gateway.queues
    made = rpc.CreateQueue(q.CreateQueueRequest(queue_name=name)).queue
    rpc.EnqueueCall(q.EnqueueCallRequest(call_control_id=ALICE, queue_name=name))

    assert rpc.GetQueue(q.GetQueueRequest(queue_name=name)).queue.id == made.id
    updated = rpc.UpdateQueue(q.UpdateQueueRequest(queue_name=name, max_size=7)).queue
    assert (updated.name, updated.max_size) == (name, 7)
    (call,) = rpc.ListQueuedCalls(q.ListQueuedCallsRequest(queue_name=name)).calls
    assert call.call_control_id == ALICE
    key = {"queue_name": name, "call_control_id": ALICE}
    assert rpc.GetQueuedCall(q.GetQueuedCallRequest(**key)).call.queue_position == 1
    rpc.UpdateQueuedCall(q.UpdateQueuedCallRequest(**key, keep_after_hangup=True))
    rpc.RemoveQueuedCall(q.RemoveQueuedCallRequest(**key))
    assert rpc.DeleteQueue(q.DeleteQueueRequest(queue_name=name)).HasField("receipt")
    assert stage.received().status == 204
