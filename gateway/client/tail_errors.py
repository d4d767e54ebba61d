"""What went wrong with a followed feed, in terms of the options of `tail`.

The gateway's own texts name fields of the request, which nobody at a terminal can set.
"""

from collections.abc import Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from conferencing.v1.event_service_pb2 import Gap, GapReason
from gateway.schema.event_keys import declared_keys

D = TypeVar("D", error_details_pb2.ErrorInfo, error_details_pb2.BadRequest)

# The options of `tail` by the fields of the request that they set.
OPTIONS = {
    "after_cursor": "--after",
    "since": "--since",
    **{f"filter.{key.filter_field}": f"--{key.option}" for key in declared_keys()},
}

# Why events are missing, by the reason in an error or a gap.
_LOSSES = {
    "CURSOR_EXPIRED": "retention has deleted events after the cursor",
    "EPOCH_CHANGED": "the cursor belongs to another log",
    "CURSOR_AHEAD": "the cursor is ahead of the log, which has lost its newest events",
}

WAYS_ON = (
    "to start with the oldest stored event: --earliest;"
    " to do so and report how many events are missing: --after CURSOR --on-gap continue;"
    " to get only new events: neither"
)


def loss_of(error: grpc.RpcError) -> str:
    """Return why events after the cursor are lost, an empty text if that is not the error."""
    info = _detail(error, error_details_pb2.ErrorInfo())
    if error.code() is not grpc.StatusCode.OUT_OF_RANGE or info is None:
        return ""
    return _loss(info.reason, int(info.metadata.get("missed_events", 0)))


def gap_line(gap: Gap) -> str:
    """Return the line about events that are missing before those that follow."""
    reason = GapReason.Name(gap.reason).removeprefix("GAP_REASON_")
    return f"{_loss(reason, gap.missed_events)}; continuing with the oldest stored event"


def error_lines(error: grpc.RpcError) -> list[str]:
    """Return the lines about an error that ends a tail."""
    code = error.code().name
    if loss := loss_of(error):
        return [f"{code}: {loss}", WAYS_ON]
    request = _detail(error, error_details_pb2.BadRequest())
    if request is not None and request.field_violations:
        return [f"{code}: {text}" for text in _violations(request)]
    return [f"{code}: {error.details()}"]


def _loss(reason: str, missed: int) -> str:
    text = _LOSSES.get(reason, "events after the cursor are missing")
    return f"{text} ({missed} of them)" if missed else text


def _violations(request: error_details_pb2.BadRequest) -> Iterator[str]:
    for violation in request.field_violations:
        name, _, index = violation.field.partition("[")
        option = OPTIONS.get(name, name)
        which = f" (value {int(index.removesuffix(']')) + 1})" if index else ""
        yield f"{option}{which}: {violation.description}" if option else violation.description


def _detail(error: grpc.RpcError, kind: D) -> D | None:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # something on the way has changed it
        return None
    for packed in status.details if status is not None else ():
        if packed.Unpack(kind):
            return kind
    return None
