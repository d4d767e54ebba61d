"""Commits to the event log."""

from typing import NamedTuple


class CommitEnded(NamedTuple):
    """A group of appends that has been committed, or has failed.

    `events` is how many appends it was of, `stored` how many of them were new, `size_bytes` what
    these take. It began when the writer took the group up; the `seconds` are those until the disk
    had it. `waited_s` is how long the first of the appends had waited before that, also in seconds.
    """

    events: int
    stored: int
    size_bytes: int
    began: float
    seconds: float
    waited_s: float
    succeeded: bool = True
