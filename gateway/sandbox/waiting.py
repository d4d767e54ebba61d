"""Calls coming into queues and out of them."""

import uuid

from gateway.sandbox import errors, events
from gateway.sandbox.clock import TIMER_MAX_S
from gateway.sandbox.errors import refusal
from gateway.sandbox.model import Call, DequeueReason, Queue, QueuedCall
from gateway.sandbox.world import World

# Calls a queue holds when nobody said how many.
_DEFAULT_MAX_SIZE = 100


def open_queue(world: World, name: str, max_size: int | None) -> Queue:
    """Make a new, empty queue of this name."""
    now = world.clock.now()
    queue = Queue(str(uuid.uuid4()), name, max_size or _DEFAULT_MAX_SIZE, now, now)
    world.queues[name] = queue
    return queue


def enqueue(
    world: World,
    call: Call,
    queue: Queue,
    *,
    client_state: str | None,
    keep_after_hangup: bool,
    max_wait_seconds: int | None,
) -> None:
    """Put the call at the end of the line. Raises RefusedError if the line is full."""
    if len(queue.calls) >= queue.max_size:
        raise refusal(
            errors.QUEUE_FULL, f"Queue '{queue.name}' holds its maximum of {queue.max_size} calls."
        )
    now = world.clock.now()
    waiting = QueuedCall(call, now, client_state, keep_after_hangup)
    if max_wait_seconds is not None:
        waiting.deadline = world.clock.call_at(
            now + min(max_wait_seconds, TIMER_MAX_S), lambda: dequeue(world, call, "timeout")
        )
    queue.calls[call.call_control_id] = waiting
    queue.updated_at = now
    call.queue_name = queue.name
    world.emit(events.enqueued(queue, waiting, now))


def dequeue(
    world: World, call: Call, reason: DequeueReason, client_state: str | None = None
) -> None:
    """Take the call out of its queue, if it is in one. `client_state` replaces the earlier."""
    if call.queue_name is None:
        return
    queue = world.queues[call.queue_name]
    position = queue.position(call.call_control_id)
    waiting = queue.calls.pop(call.call_control_id)
    if waiting.deadline is not None:
        waiting.deadline.cancel()
    if client_state is not None:
        waiting.client_state = client_state
    call.queue_name = None
    now = world.clock.now()
    queue.updated_at = now
    world.emit(events.dequeued(queue, waiting, position, reason, now))
