"""Lags: how clients are told that this gateway is behind the log that it shares with others."""

from conferencing.v1.event_service_pb2 import (
    INDEX_STATE_CURRENT,
    INDEX_STATE_CUT_OFF,
    INDEX_STATE_FILLING,
    IndexState,
)
from conferencing.v1.event_service_pb2 import Lag as LagMessage
from gateway.journal.lag import Lag


def state_of(lag: Lag | None) -> IndexState.ValueType:
    """Return how an index with this lag stands to its journal."""
    if lag is None:
        return INDEX_STATE_CURRENT
    return INDEX_STATE_CUT_OFF if lag.is_cut_off else INDEX_STATE_FILLING


def message_of(lag: Lag | None) -> LagMessage | None:
    """Return what a response says of a lag."""
    return None if lag is None else LagMessage(behind_events=lag.behind, state=state_of(lag))
