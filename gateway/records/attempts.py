"""Attempts: requests to the provider, each sent once for a call that may need several."""

from typing import NamedTuple

# The result of an attempt whose end nobody waits for: another one won, or the caller has gone.
ABANDONED = "abandoned"


class AttemptEnded(NamedTuple):
    """An attempt that has ended, or that nobody waits for any more.

    `operation` names what was asked of the provider, `number` is 1 for the first attempt of a call;
    `is_hedge` says that it was sent beside one that had no response yet. `result` is the status of
    the response, the kind of error where there is none, or ABANDONED. An attempt began when its
    request left, or was to leave if it never has: what it waited for its turn, `waited_s`, is
    before that.

    `request_id` is that of the call that it was made for, empty for what the gateway itself wants.
    `pause_s` is for how long the provider wants no retry, None if it does not say. Times are
    seconds.
    """

    operation: str
    number: int
    result: str
    began: float
    seconds: float
    is_hedge: bool = False
    request_id: str = ""
    waited_s: float = 0.0
    pause_s: float | None = None
    trace_id: str = ""
