"""What is made of the records of what happened: a count of each, and a line where one is due."""

from gateway.ingest.webhooks.receiver import Received
from gateway.refused import Refused
from gateway.rpc.hooks import CallEnded
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.refusals import log_refused


class Records:
    """Takes records of calls, webhooks and refusals."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def call_ended(self, call: CallEnded) -> None:
        """Take the record of an RPC."""
        self._metrics.call_ended(call)
        if call.refused is not None:
            self.refused(call.refused)

    def webhook_received(self, received: Received) -> None:
        """Take the record of a request to the webhook address."""
        self._metrics.webhook_received(received)
        if received.refused is not None:
            self.refused(received.refused)

    def refused(self, refused: Refused) -> None:
        """Take the record of a refusal."""
        self._metrics.refused(refused)
        log_refused(refused)
