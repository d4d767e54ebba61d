"""Effects: what commands cause, as the feed shows it."""

from typing import NamedTuple

from gateway.tracecontext import Span, TraceContext


class EffectSeen(NamedTuple):
    """The first event that shows the effect of a command, in the log.

    `method` is the command's full name (`package.Service/Method`), `cursor` the one of its receipt:
    the event comes after it. It began when the command was about to be sent. `span` is a child of
    the command's, `webhook` the context of the webhook that brought the event, None if that had
    none.
    """

    method: str
    cursor: str
    event_type: str
    event_id: str
    sequence: int
    began: float
    seconds: float
    span: Span
    webhook: TraceContext | None = None
