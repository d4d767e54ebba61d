"""Lines about calls: one for each that failed or was slow, and for the others if somebody wants it.

A line has the same members whatever it tells of, so that programs find them: as members of the
object in JSON, as `name=value` in text. The level says whose turn it is: what callers do wrong is
theirs to see, what the gateway or the provider does wrong is the operator's.
"""

import logging
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Literal

from gateway.records.calls import CallEnded
from gateway.telemetry.late_record import Later, LateRecord, at_once
from gateway.telemetry.refusals import log_refused

AccessLog = Literal["off", "failures", "all"]

# How much of an error's words is written, in characters.
_MESSAGE_MAX = 300

_OK = "OK"

# How a caller leaves. Subscribers do so each time that they end, which is no failure.
_LEFT = "CANCELLED"

# Statuses that are nobody's fault but the gateway's, or of what it depends on.
_LEVELS = {"INTERNAL": logging.WARNING, "DATA_LOSS": logging.WARNING}

# Reasons that go before the status: the log cannot be read, and somebody has to act; the key is
# rejected, which has a line of its own (see `ProviderHealth`).
_LEVELS_OF_REASONS = {
    "LOG_UNAVAILABLE": logging.ERROR,
    "UPSTREAM_CREDENTIALS_REJECTED": logging.INFO,
}

# The reason of a fault that has a line already, with a traceback (see `error_of`).
_TOLD_ELSEWHERE = "GATEWAY_FAILURE"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallLines:
    """Writes lines about calls.

    `which` of them are wanted: with `off` those remain that the gateway has refused or is at fault
    for. With `all` each has a line of its own, but for refusals, of which others could make any
    number; else there is one of a kind per second (see `flood`). Calls slower than `slow_s` seconds
    have a line, too; streams are not slow for being long. Lines are made `later`: with one for each
    call they cost a fifth of what they would cost at once.
    """

    which: AccessLog = "failures"
    slow_s: float = 1.0
    later: Later = at_once

    def tell(self, call: CallEnded) -> None:
        """Write the line of a call that has ended, if it has one."""
        if call.status == _OK:
            is_slow = call.seconds >= self.slow_s and not call.is_stream
            if is_slow and self.which != "off":
                self._write(logging.INFO, "a call was slow", call)
            elif self.which == "all":
                self._write(logging.INFO, "a call succeeded", call)
        elif call.refused is not None:
            log_refused(call.refused, fields_of(call))
        elif call.reason != _TOLD_ELSEWHERE:
            level = _level_of(call)
            if self.which != "off" or level > logging.INFO:
                self._write(level, "a call failed", call)

    def _write(self, level: int, text: str, call: CallEnded) -> None:
        if _log.isEnabledFor(level):
            self.later(partial(self._written, level, text, call, time()))

    def _written(self, level: int, text: str, call: CallEnded, created: float) -> None:
        words = f"{call.method}: {call.message}" if call.message else call.method
        if len(words) > _MESSAGE_MAX:
            words = f"{words[:_MESSAGE_MAX]}..."
        record = LateRecord(
            _log.name,
            level,
            created,
            f"{text}: {words}",
            fields_of(call),
            kind=(text, call.status, call.reason),
            is_thinned=self.which != "all",
        )
        _log.handle(record)


def fields_of(call: CallEnded) -> dict[str, object]:
    """Return what a line about a call has beside its words."""
    return {
        "method": call.method,
        "status": call.status,
        "reason": call.reason,
        "caller": call.caller,
        "peer": call.peer,
        "attempts": call.attempts,
        "ms": round(call.seconds * 1_000, 1),
        "received_bytes": call.received_bytes,
        "sent_bytes": call.sent_bytes,
        "request_id": call.request_id,
        "trace_id": call.trace_id,
    }


def _level_of(call: CallEnded) -> int:
    if call.status == _LEFT:
        return logging.DEBUG
    level = _LEVELS_OF_REASONS.get(call.reason)
    return _LEVELS.get(call.status, logging.INFO) if level is None else level
