"""Attempts: requests to the provider, each sent once for a call that may need several."""

from typing import NamedTuple

from gateway.tracecontext import Span

# The result of an attempt whose end nobody waits for: another one won, or the caller has gone.
ABANDONED = "abandoned"


class AttemptEnded(NamedTuple):
    """An attempt that has ended, or that nobody waits for any more.

    `operation` names what was asked of the provider, `number` is 1 for the first attempt of a call;
    `is_hedge` says that it was sent beside one that had no response yet.
    `result` is the status of the response, the kind of error where there is none, or ABANDONED. An
    attempt began when its request left, or was to leave if it never has: what it waited for its
    turn is before that. Where the `span` is recorded, HTTP method and URL are told, the latter
    without its query.
    """

    operation: str
    number: int
    result: str
    began: float
    seconds: float
    is_hedge: bool = False
    span: Span | None = None
    http_method: str = ""
    url: str = ""
