"""Events by number: as their provider has them, and as the gateway's log takes them."""

import random
from functools import lru_cache

from conferencing.v1.event_pb2 import Event
from gateway.journal.events import NewEvent
from tests.harness.events import keys_of
from tests.oracle import schedule
from tests.oracle.model import Fields, Posted


@lru_cache(maxsize=4_096)
def posted(number: int) -> Posted:
    """The event with this number among all ids: always the same."""
    chosen = random.Random(number)
    fields = Fields(
        chosen.choice(schedule.TYPES),
        chosen.choice(("", *schedule.CONFERENCES)),
        chosen.choice(("", *schedule.QUEUES)),
        chosen.choice(("", *schedule.CALLS)),
        chosen.choice(("", *schedule.SESSIONS)),
        chosen.choice(("", *schedule.CONNECTIONS)),
    )
    event = Event(
        id=f"id-{number}",
        type=fields.type,
        conference_id=fields.conference_id,
        queue_name=fields.queue_name,
        call_control_id=fields.call_control_id,
        call_session_id=fields.call_session_id,
        connection_id=fields.connection_id,
    )
    raw = chosen.randbytes(chosen.choice((20, 200, 700, 2_500)))
    return Posted(event.id, fields, event.SerializeToString(), raw)


def new_event(event: Posted, received_at_us: int) -> NewEvent:
    fields = event.fields
    keys = keys_of(
        type=fields.type,
        conference_id=fields.conference_id,
        queue_name=fields.queue_name,
        call_control_id=fields.call_control_id,
        call_session_id=fields.call_session_id,
        connection_id=fields.connection_id,
    )
    return NewEvent(event.id, fields.type, keys, received_at_us, event.content, event.raw)
