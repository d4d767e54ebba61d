"""Lines about webhooks: one for each that was refused or slow, and for the others if wanted.

The id of the event is the id by which a webhook is found; it is known once the body was read.
"""

import logging
from dataclasses import dataclass

from gateway.records.webhooks import WebhookReceived
from gateway.telemetry.call_lines import AccessLog
from gateway.telemetry.refusals import log_refused

# How much of a text that somebody has sent is written, in characters.
_TEXT_MAX = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookLines:
    """Writes lines about webhooks; see `CallLines`."""

    which: AccessLog = "failures"
    slow_s: float = 1.0

    def tell(self, received: WebhookReceived) -> None:
        """Write the line of a webhook, if it has one."""
        refused = received.refused
        if refused is not None:
            log_refused(refused, _fields_of(received))
        elif received.seconds >= self.slow_s and self.which != "off":
            self._write("a webhook was slow", received)
        elif self.which == "all":
            self._write("a webhook was taken", received)

    def _write(self, text: str, received: WebhookReceived) -> None:
        extra = {"is_thinned": self.which != "all", "fields": _fields_of(received)}
        _log.info(text, extra=extra)


def _fields_of(received: WebhookReceived) -> dict[str, object]:
    return {
        "result": received.result,
        "status": received.status,
        "ms": round(received.seconds * 1_000, 1),
        "received_bytes": received.size_bytes,
        "event_id": received.event_id[:_TEXT_MAX],
        "event_type": received.event_type[:_TEXT_MAX],
        "trace_id": received.trace_id,
    }
