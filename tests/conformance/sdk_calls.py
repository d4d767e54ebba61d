"""The SDK's method for each RPC, and what that method takes and returns."""

import inspect
import operator
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

import telnyx

CALLS = {
    "CreateConference": "conferences.create",
    "GetConference": "conferences.retrieve",
    "ListConferences": "conferences.list",
    "EndConference": "conferences.actions.end_conference",
    "ListParticipants": "conferences.list_participants",
    "GetParticipant": "conferences.retrieve_participant",
    "UpdateParticipant": "conferences.update_participant",
    "JoinConference": "conferences.actions.join",
    "LeaveConference": "conferences.actions.leave",
    "HoldParticipants": "conferences.actions.hold",
    "UnholdParticipants": "conferences.actions.unhold",
    "MuteParticipants": "conferences.actions.mute",
    "UnmuteParticipants": "conferences.actions.unmute",
    "PlayAudio": "conferences.actions.play",
    "StopAudio": "conferences.actions.stop",
    "SpeakText": "conferences.actions.speak",
    "GatherDtmf": "conferences.actions.gather_dtmf_audio",
    "SendDtmf": "conferences.actions.send_dtmf",
    "StartRecording": "conferences.actions.record_start",
    "StopRecording": "conferences.actions.record_stop",
    "PauseRecording": "conferences.actions.record_pause",
    "ResumeRecording": "conferences.actions.record_resume",
    "UpdateSupervisorRole": "conferences.actions.update",
    "EnqueueCall": "calls.actions.enqueue",
    "LeaveQueue": "calls.actions.leave_queue",
    "CreateQueue": "queues.create",
    "GetQueue": "queues.retrieve",
    "ListQueues": "queues.list",
    "UpdateQueue": "queues.update",
    "DeleteQueue": "queues.delete",
    "ListQueuedCalls": "queues.calls.list",
    "GetQueuedCall": "queues.calls.retrieve",
    "UpdateQueuedCall": "queues.calls.update",
    "RemoveQueuedCall": "queues.calls.remove",
}

# What every method takes beside the operation's own parameters.
OF_ANY_CALL = {"extra_headers", "extra_query", "extra_body", "timeout"}


def sdk_method(client: telnyx.Telnyx, rpc: str) -> Callable[..., Any]:
    method: Callable[..., Any] = operator.attrgetter(CALLS[rpc])(client)
    return method


@cache
def _hints(rpc: str) -> dict[str, Any]:
    # Types need no connection: the client is never used.
    with telnyx.Telnyx(api_key="unused") as client:
        method = sdk_method(client, rpc)
        hints = typing.get_type_hints(method)
        assert set(inspect.signature(method).parameters) | {"return"} == set(hints)
    return hints


def parameters_of(rpc: str) -> dict[str, Any]:
    """Return the parameters of an RPC's operation with their hints."""
    own = _hints(rpc).keys() - OF_ANY_CALL - {"return"}
    return {name: hint for name, hint in _hints(rpc).items() if name in own}


def answer_of(rpc: str) -> Any:
    """Return the model of the answer to an RPC's operation, None if the SDK reads none."""
    model = _hints(rpc)["return"]
    return None if model is type(None) else model


def result_of(rpc: str) -> Any:
    """Return the hint of `data` in the answer to an RPC's operation, None if it has no answer."""
    model = answer_of(rpc)
    return None if model is None else model.model_fields["data"].annotation
