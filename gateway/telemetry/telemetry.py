"""What is made of records: a count of each, and a line where one is due."""

import logging
from typing import TypeAlias, assert_never

from gateway.records.attempts import AttemptEnded
from gateway.records.backfill import DeliveryChecked, SweepEnded
from gateway.records.calls import OTHER, CallEnded, UnknownCalls
from gateway.records.commits import CommitEnded
from gateway.records.components import ComponentChanged
from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.records.deliveries import RoundEnded
from gateway.records.effects import EffectSeen
from gateway.records.observer import Record
from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import EventNoted, WebhookReceived
from gateway.telemetry.call_lines import AccessLog, CallLines
from gateway.telemetry.components import log_component
from gateway.telemetry.late_record import at_once
from gateway.telemetry.logs import Logs
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.refusals import log_closed, log_refused
from gateway.telemetry.spans import Traced, spans_of
from gateway.telemetry.sweeps import log_sweep
from gateway.telemetry.tracing import NoTraces, Traces
from gateway.telemetry.webhook_lines import WebhookLines

_log = logging.getLogger(__name__)


_Rare: TypeAlias = (
    SweepEnded | Refused | ConnectionHeld | ConnectionClosed | ComponentChanged | UnknownCalls
)

# Who called is not known of these.
_UNKNOWN = CallEnded(OTHER, "UNIMPLEMENTED", 0.0, 0.0)


class Telemetry:
    """Takes the records of all rooms. A fault in it changes nothing of what they tell of.

    `access_log` says which calls and webhooks have a line, and `slow_s` after how many seconds they
    are slow (see `CallLines`). `traces` has begun the spans of records that have some, and `logs`,
    if they are set up, make the lines of calls when there is time.
    """

    def __init__(
        self,
        metrics: Metrics,
        access_log: AccessLog = "failures",
        slow_s: float = 1.0,
        traces: Traces | None = None,
        logs: Logs | None = None,
    ) -> None:
        self.metrics = metrics
        self._calls = CallLines(access_log, slow_s, at_once if logs is None else logs.later)
        self._webhooks = WebhookLines(access_log, slow_s)
        self._traces = traces or NoTraces()

    def observe(self, record: Record) -> None:
        """Take a record; never raises, as all observers."""
        try:
            self._take(record)
        except Exception:
            _log.exception("a record could not be taken: %s", type(record).__name__)

    def _take(self, record: Record) -> None:
        # The most frequent ones first.
        match record:
            case CallEnded():
                self.metrics.call_ended(record)
                self._count(record.refused)
                if record.refused is not None and record.refused.limit:
                    self.metrics.caller_limited(record.caller, record.refused.limit)
                self._calls.tell(record)
                self._traced(record)
            case AttemptEnded():
                self.metrics.attempt_ended(record)
                self._traced(record)
            case WebhookReceived():
                self.metrics.webhook_received(record)
                self._count(record.refused)
                self._webhooks.tell(record)
                self._traced(record)
            case EffectSeen():
                self._traced(record)
            case CommitEnded():
                self.metrics.commit_ended(record)
            case RoundEnded():
                self.metrics.round_ended(record)
            case EventNoted():
                self.metrics.event_noted(record)
            case DeliveryChecked():
                self.metrics.delivery_checked(record)
            case _:
                self._take_rare(record)

    def _take_rare(self, record: _Rare) -> None:
        match record:
            case SweepEnded():
                self.metrics.sweep_ended(record)
                log_sweep(record)
            case Refused():
                self._refused(record)
            case UnknownCalls():
                self._unknown(record)
            case ConnectionHeld():
                self._refused(_refusal(record))
            case ConnectionClosed():
                log_closed(record)
            case ComponentChanged():
                log_component(record)
            case _:
                assert_never(record)

    def _traced(self, record: Traced) -> None:
        if record.span is not None and record.span.is_recorded:
            for ended in spans_of(record):
                self._traces.take(ended)

    def _count(self, refused: Refused | None) -> None:
        if refused is not None:
            self.metrics.refused(refused)

    def _refused(self, refused: Refused) -> None:
        self.metrics.refused(refused)
        log_refused(refused)

    def _unknown(self, unknown: UnknownCalls) -> None:
        text = f"{unknown.calls} calls of methods that nobody has, refused by gRPC itself"
        refused = Refused(Subject.CALL, unknown.reason, "", text)
        for _ in range(unknown.calls):
            self.metrics.call_ended(_UNKNOWN)
            self.metrics.refused(refused)
        log_refused(refused)


def _refusal(held: ConnectionHeld) -> Refused:
    text = "it is closed"
    if held.for_s:
        text = f"nothing of it is read for {held.for_s:.0f} s, and then {text}"
    return Refused(Subject.GRPC_CONNECTION, held.kind, held.peer, text, is_shortage=True)
