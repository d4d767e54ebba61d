"""The operations on queues and the calls in them."""

from gateway.sandbox import errors, views
from gateway.sandbox.errors import refusal
from gateway.sandbox.model import Call, Queue
from gateway.sandbox.pages import page
from gateway.sandbox.validation import Arguments
from gateway.sandbox.waiting import dequeue, enqueue, open_queue
from gateway.sandbox.world import World


def put_in(world: World, arguments: Arguments) -> views.Body:
    """Put a call in a queue, which is made if need be. An existing queue keeps its size."""
    body = arguments.body
    call = world.active_call(arguments.path["call_control_id"])
    if call.queue_name is not None:
        raise refusal(
            errors.ALREADY_IN_QUEUE,
            f"Call '{call.call_control_id}' is in queue '{call.queue_name}'. "
            "Let it leave there first.",
        )
    if call.conference_id is not None:
        raise refusal(
            errors.ALREADY_IN_CONFERENCE,
            f"Call '{call.call_control_id}' is in conference '{call.conference_id}'. "
            "Let it leave there first.",
        )
    name = body["queue_name"]
    queue = world.queues.get(name) or open_queue(world, name, body.get("max_size"))
    enqueue(
        world,
        call,
        queue,
        client_state=body.get("client_state"),
        keep_after_hangup=body.get("keep_after_hangup", False),
        max_wait_seconds=body.get("max_wait_time_secs"),
    )
    return views.OK


def take_out(world: World, arguments: Arguments) -> views.Body:
    """Take a call out of the queue it is in."""
    call = world.active_call(arguments.path["call_control_id"])
    if call.queue_name is None:
        raise refusal(errors.NOT_IN_QUEUE, f"Call '{call.call_control_id}' is not in a queue.")
    dequeue(world, call, "leave", arguments.body.get("client_state"))
    return views.OK


def create(world: World, arguments: Arguments) -> views.Body:
    """Create a queue under a name that is free."""
    name = arguments.body["queue_name"]
    if name in world.queues:
        raise refusal(errors.DUPLICATE, f"There is a queue '{name}' already.", "/queue_name")
    queue = open_queue(world, name, arguments.body.get("max_size"))
    return {"data": views.queue(queue, world.clock.now())}


def listing(world: World, arguments: Arguments) -> views.Body:
    """Return all queues, oldest first."""
    now = world.clock.now()
    return page(list(world.queues.values()), arguments.query, lambda it: views.queue(it, now))


def retrieve(world: World, arguments: Arguments) -> views.Body:
    """Return a queue as it is now."""
    return {"data": views.queue(_queue(world, arguments), world.clock.now())}


def update(world: World, arguments: Arguments) -> views.Body:
    """Change the size. Calls beyond a smaller one stay; no more come in."""
    queue = _queue(world, arguments)
    queue.max_size = arguments.body["max_size"]
    queue.updated_at = world.clock.now()
    return {"data": views.queue(queue, queue.updated_at)}


def delete(world: World, arguments: Arguments) -> None:
    """Delete a queue nobody waits in."""
    queue = _queue(world, arguments)
    if queue.calls:
        raise refusal(
            errors.IN_USE,
            f"Queue '{queue.name}' still holds {len(queue.calls)} calls. Take them out first.",
        )
    del world.queues[queue.name]


def list_calls(world: World, arguments: Arguments) -> views.Body:
    """Return the calls in a queue, first in line first."""
    queue = _queue(world, arguments)
    now = world.clock.now()
    calls = [waiting.call for waiting in queue.calls.values()]
    return page(calls, arguments.query, lambda call: views.queued_call(queue, call, now))


def retrieve_call(world: World, arguments: Arguments) -> views.Body:
    """Return a call in a queue, with its position and wait as of now."""
    queue, call = _queued(world, arguments)
    return {"data": views.queued_call(queue, call, world.clock.now())}


def update_call(world: World, arguments: Arguments) -> None:
    """Change whether the call stays after its hang-up; one that has hung up may go at once."""
    queue, call = _queued(world, arguments)
    entry = queue.calls[call.call_control_id]
    keep = arguments.body.get("keep_after_hangup", entry.keep_after_hangup)
    entry.keep_after_hangup = keep
    if call.ended_at is not None and not keep:
        dequeue(world, call, "hangup")


def remove_call(world: World, arguments: Arguments) -> None:
    """Take a call out: meant for calls that have hung up, accepted for all."""
    _, call = _queued(world, arguments)
    dequeue(world, call, "leave" if call.ended_at is None else "hangup")


def _queue(world: World, arguments: Arguments) -> Queue:
    return world.queue(arguments.path["queue_name"])


def _queued(world: World, arguments: Arguments) -> tuple[Queue, Call]:
    queue = _queue(world, arguments)
    wanted = arguments.path["call_control_id"]
    if wanted not in queue.calls:
        raise refusal(errors.NOT_FOUND, f"There is no call '{wanted}' in queue '{queue.name}'.")
    return queue, queue.calls[wanted].call
