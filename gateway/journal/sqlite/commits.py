"""Commits: what is recorded of the groups of events that the writer stores."""

from collections.abc import Sequence
from time import monotonic

from gateway.journal.events import Entry
from gateway.journal.sqlite.jobs import Append
from gateway.records.commits import CommitEnded


def commit_of(
    group: Sequence[Append], began: float, entries: Sequence[Entry] | None
) -> CommitEnded | None:
    """Return what to record of a group, None if there are no appends in it.

    `entries` are what was stored of them, None if they have failed.
    """
    if not group:
        return None
    stored = entries or ()
    return CommitEnded(
        len(group),
        len(stored),
        sum(len(it.framed.frame) for it in stored),
        began,
        monotonic() - began,
        began - group[0].asked_at,
        succeeded=entries is not None,
    )
