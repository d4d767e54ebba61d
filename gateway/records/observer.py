"""Observers: who hears of what has happened."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from gateway.records.attempts import AttemptEnded
from gateway.records.backfill import DeliveryChecked, SweepEnded
from gateway.records.calls import CallEnded, UnknownCalls
from gateway.records.commits import CommitEnded
from gateway.records.components import ComponentChanged
from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.records.deliveries import RoundEnded
from gateway.records.effects import EffectSeen
from gateway.records.refusals import Refused
from gateway.records.webhooks import EventNoted, WebhookReceived

# Everything there is a record of.
Record: TypeAlias = (
    AttemptEnded
    | CallEnded
    | CommitEnded
    | ComponentChanged
    | ConnectionClosed
    | ConnectionHeld
    | DeliveryChecked
    | EffectSeen
    | EventNoted
    | Refused
    | RoundEnded
    | SweepEnded
    | UnknownCalls
    | WebhookReceived
)

R = TypeVar("R", bound=Record)

# Is given each record of a kind, or of some kinds.
Observer: TypeAlias = Callable[[R], None]


def ignore(record: Record) -> None:
    """Observe nothing."""
