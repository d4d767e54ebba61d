"""Lines about backfill: what a sweep has stored, or why it has failed."""

import logging

from gateway.records.backfill import SweepEnded

_log = logging.getLogger(__name__)


def log_sweep(ended: SweepEnded) -> None:
    """Write a line about a sweep that has failed or stored something. Most do neither."""
    if not ended.succeeded:
        text = "backfill (%s) failed after %.1f s and will be tried again: %s"
        _log.warning(text, ended.cause.value, ended.seconds, ended.error)
    elif ended.stored:
        text = "backfill (%s) stored %d events that had been missed, in %.1f s"
        _log.info(text, ended.cause.value, ended.stored, ended.seconds)
