"""What a step of a scenario can do: the words of a file, and the operations that they stand for.

Which further words a verb takes follows from its operation: the placeholders of its path and the
properties of its body, with people, conferences and queues by name in place of their ids.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from gateway.sandbox.faults import RequestFault, WebhookFault
from gateway.sandbox.operations import Operation

# The operation of each verb that is a command to the provider.
OPERATIONS: Mapping[str, str] = {
    "enqueue": "calls.actions.enqueue",
    "leave_queue": "calls.actions.leave_queue",
    "create": "conferences.create",
    "join": "conferences.actions.join",
    "leave": "conferences.actions.leave",
    "end": "conferences.actions.end_conference",
    "mute": "conferences.actions.mute",
    "unmute": "conferences.actions.unmute",
    "hold": "conferences.actions.hold",
    "unhold": "conferences.actions.unhold",
    "supervise": "conferences.actions.update",
    "speak": "conferences.actions.speak",
    "play": "conferences.actions.play",
    "gather": "conferences.actions.gather_dtmf_audio",
    "stop_sound": "conferences.actions.stop",
    "send_dtmf": "conferences.actions.send_dtmf",
    "record": "conferences.actions.record_start",
    "pause_recording": "conferences.actions.record_pause",
    "resume_recording": "conferences.actions.record_resume",
    "stop_recording": "conferences.actions.record_stop",
    "create_queue": "queues.create",
    "resize_queue": "queues.update",
    "delete_queue": "queues.delete",
    "keep_in_queue": "queues.calls.update",
    "remove_from_queue": "queues.calls.remove",
}

# The verb that makes a conference: it gives the conference the name that later steps use.
CREATE = "create"

# What people do by themselves, and the trouble that there is: no operation of the provider.
CALL_IN, HANG_UP, TALK, FAULT, CLEAR_FAULTS = "call_in", "hang_up", "talk", "fault", "clear_faults"

# Words of every step: when it is, and whether the provider shall refuse it.
TIMING = frozenset({"at", "wait", "every"})
COMMON = TIMING | {"do", "refused"}

# In place of ids, which nobody knows beforehand. What is left out cannot be said by name.
IN_PATH: Mapping[str, str] = {
    "call_control_id": "call",
    "id": "conference",
    "queue_name": "queue",
}
IN_BODY: Mapping[str, str | None] = {
    "call_control_id": "call",
    "call_control_ids": "calls",
    "whisper_call_control_ids": "whisper_to",
    "queue_name": "queue",
    "recording_id": None,
}
# Words whose value names one call, and those whose value is a list of such names.
ONE_CALL, MANY_CALLS = "call", frozenset({"calls", "whisper_to"})


@dataclass(frozen=True, slots=True)
class Verb:
    """What one step can do, and the words it is said with, beside the common ones."""

    name: str
    # None for what is no operation of the provider.
    operation: Operation | None
    required: frozenset[str]
    optional: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        """All words that it takes, beside the common ones."""
        return self.required | self.optional


def verbs(operations: Iterable[Operation]) -> Mapping[str, Verb]:
    """Return all verbs by name, in the order in which they are best explained."""
    by_id = {it.id: it for it in operations}
    found = [Verb(name, None, frozenset({"call"}), frozenset()) for name in (CALL_IN, HANG_UP)]
    found.append(Verb(TALK, None, frozenset({"call"}), frozenset()))
    found += [_command(name, by_id[id_]) for name, id_ in OPERATIONS.items()]
    found.append(Verb(FAULT, None, frozenset({"on"}), frozenset(_fault_words())))
    found.append(Verb(CLEAR_FAULTS, None, frozenset(), frozenset()))
    return {it.name: it for it in found}


def _command(name: str, operation: Operation) -> Verb:
    required = {IN_PATH[it] for it in operation.placeholders}
    known: set[str] = set()
    for parameter in operation.body["properties"]:
        word = IN_BODY.get(parameter, parameter)
        if word is not None:
            known.add(word)
    for parameter in operation.body.get("required", ()):
        required.add(IN_BODY.get(parameter) or parameter)
    if name == CREATE:
        required.add("conference")
        # The conference is called as the scenario calls it, unless it says otherwise.
        required.discard("name")
    return Verb(name, operation, frozenset(required), frozenset(known - required))


def _fault_words() -> Iterator[str]:
    for model in (RequestFault, WebhookFault):
        for it in fields(model):
            yield {"call_control_id": "call", "conference_id": "conference"}.get(it.name, it.name)
