"""What went wrong with a followed feed, in terms of the options of `tail`.

The gateway's own texts name fields of the request, which nobody at a terminal can set.
"""

import grpc

from conferencing.v1.event_service_pb2 import (
    INDEX_STATE_CUT_OFF,
    INDEX_STATE_UNSPECIFIED,
    Gap,
    GapReason,
    Lag,
)
from gateway.client.error_text import head_of
from gateway.client.errors import CallError, FieldFault
from gateway.client.event_text import shown
from gateway.schema.event_keys import declared_keys

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


def loss_of(error: CallError) -> str:
    """Return why events after the cursor are lost, an empty text if that is not the error."""
    if error.code is not grpc.StatusCode.OUT_OF_RANGE or not error.reason:
        return ""
    return _loss(error.reason, int(error.metadata.get("missed_events", 0)))


def gap_line(gap: Gap) -> str:
    """Return the line about events that are missing before those that follow."""
    reason = GapReason.Name(gap.reason).removeprefix("GAP_REASON_")
    return f"{_loss(reason, gap.missed_events)}; continuing with the oldest stored event"


def lag_line(lag: Lag) -> str:
    """Return the line about a gateway that is behind the log; an empty text once it is not."""
    if lag.state == INDEX_STATE_CUT_OFF:
        return (
            "the gateway cannot read the log that it shares with others; newer events come when it"
            " can, or now from another gateway"
        )
    if lag.state == INDEX_STATE_UNSPECIFIED:
        return ""
    return f"the gateway is still reading {lag.behind_events:,} events of the log"


def lost_line(error: CallError) -> str:
    """Return the line about a stream that is lost and will be opened again."""
    # A certificate that one side does not accept passes by itself least of all; a limit may stay.
    tells = error.reason or ("handshak" in error.message)
    why = f": {shown(error.message)}" if tells else ""
    return f"no connection to the gateway ({error.code.name}{why}); retrying"


def error_lines(error: CallError) -> list[str]:
    """Return the lines about an error that ends a tail."""
    code = error.code.name
    if loss := loss_of(error):
        return [f"{code}: {loss}", WAYS_ON]
    if error.faults:
        return [f"{code}: {_fault(it)}" for it in error.faults]
    asked = [f"  request id: {shown(error.request_id)}"] if error.request_id else []
    return [head_of(error), *asked]


def _loss(reason: str, missed: int) -> str:
    text = _LOSSES.get(reason, "events after the cursor are missing")
    return f"{text} ({missed} of them)" if missed else text


def _fault(fault: FieldFault) -> str:
    name, _, index = fault.field.partition("[")
    option = OPTIONS.get(name, name)
    which = f" (value {int(index.removesuffix(']')) + 1})" if index else ""
    return f"{option}{which}: {fault.description}" if option else fault.description
