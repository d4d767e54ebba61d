"""Broken builds: for each promise and each guarantee a gateway that does not keep it.

A break replaces a method or two for a while. `test_breaks.py` shows that the schedules find each,
and by which guarantee. What they do is a mistake that somebody could make.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.oracle import breaks_of_feed as feed
from tests.oracle import breaks_of_log as log
from tests.oracle import breaks_of_stream as stream

Patch: TypeAlias = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Break:
    """A broken build, and the guarantee that must notice it."""

    name: str
    guarantee: str
    patches: Callable[[], Sequence[Patch]]

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in self.patches():
                stack.enter_context(_replaced(owner, name, value))
            yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    # What lies in the class itself: a property must not be asked for its value.
    original = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


ALL = {
    it.name: it
    for it in (
        # Durable before acknowledged
        Break("acknowledges before the commit", "durable", log.acknowledges_before_the_commit),
        Break("acknowledges what failed", "durable", log.acknowledges_what_failed),
        Break("forgets the write-ahead log", "durable", log.forgets_the_write_ahead_log),
        Break("gives numbers again", "durable", log.gives_numbers_again),
        Break("deletes in the middle", "durable", log.deletes_in_the_middle),
        Break("deletes too early", "durable", log.deletes_too_early),
        Break("has one epoch for all logs", "durable", log.has_one_epoch),
        # Once, in order, without gaps
        Break("knows duplicates of one group only", "unique", log.knows_no_old_duplicates),
        Break("forgets duplicates at a restart", "unique", log.forgets_duplicates_at_a_restart),
        Break("starts a batch one late", "reliable", feed.starts_a_batch_one_late),
        Break("passes over what is too much for a batch", "reliable", feed.passes_over_the_rest),
        Break("shares with other places", "reliable", feed.shares_with_other_places),
        Break("shares with other filters", "reliable", feed.shares_with_other_filters),
        Break("wakes by the wrong key", "reliable", feed.wakes_by_the_wrong_key),
        Break("forgets who asks in a pause", "reliable", feed.forgets_who_asks_in_a_pause),
        Break("passes by what is due", "reliable", feed.passes_by_what_is_due),
        Break("forgets what a round told", "reliable", feed.forgets_what_a_round_told),
        Break("goes at the pace of the slowest", "reliable", feed.goes_with_the_slowest),
        Break("sends a batch again", "unique", feed.sends_a_batch_again),
        Break("sends a batch backwards", "ordered", feed.sends_backwards),
        Break("goes past the newest at the seam", "ordered", feed.goes_past_the_newest),
        Break("resumes one event before", "resumable", feed.resumes_one_before),
        # Bookmarks
        Break("beats with the newest cursor", "bookmarkable", feed.beats_with_the_newest_cursor),
        Break("beats where it stood", "bookmarkable", feed.beats_where_it_stood),
        Break("drains with the newest cursor", "reliable", feed.drains_with_the_newest_cursor),
        Break("drains before what has come", "drained", feed.drains_at_once),
        Break("stops before it has caught up", "bounded", feed.stops_early),
        # Filters
        Break("ignores filters in the log", "filter_correct", log.ignores_filters),
        Break("ignores filters live", "filter_correct", feed.ignores_filters),
        # Loss is loud
        Break("moves an expired cursor in silence", "loud", feed.moves_expired_cursors),
        Break("ignores the epoch", "loud", feed.ignores_the_epoch),
        Break("takes cursors ahead of the log", "loud", feed.takes_cursors_ahead),
        Break("miscounts at the opening", "loud", feed.miscounts_at_the_opening),
        Break("miscounts on the way", "loud", feed.miscounts_on_the_way),
        Break("skips in silence when overtaken", "reliable", feed.skips_when_overtaken),
        Break("begins after the time", "starts_where_asked", log.begins_after_the_time),
        Break("says live too early", "truthful", feed.says_live_too_early),
        # Encoded once, dispatched by index
        Break("encodes a second time", "identical", feed.encodes_again),
        Break("mixes up signed bytes", "identical", log.mixes_up_signed_bytes),
        Break("wakes everybody", "undisturbed", feed.wakes_everybody),
    )
}

# Those of the log in a stream, which a gateway and a server are enough for: the rest is in
# `tests/chaos/breaks.py`.
_OF_STREAM = (
    Break("acknowledges before the broker", "durable", stream.acknowledges_before_the_broker),
    Break("stores what is held", "unique", stream.stores_what_is_held),
    Break("drops for a hole of its own", "durable", stream.drops_for_a_hole_of_its_own),
)

# What must be found over a stream, too. How a file is written is of no matter there; and what keeps
# to itself how often it does wrong is found over files, where schedules cost less.
_FOUND_OVER_FILES = ("miscounts at the opening", "wakes everybody", "shares with other places")
OVER_STREAM = {
    it.name: it
    for it in (
        *_OF_STREAM,
        *(
            it
            for it in ALL.values()
            if it.patches.__module__ == feed.__name__ and it.name not in _FOUND_OVER_FILES
        ),
        ALL["ignores filters in the log"],
        ALL["mixes up signed bytes"],
        ALL["begins after the time"],
    )
}

# Schedules that find them over a stream; the others are found by the first.
FOUND_BY = {
    "beats where it stood": 6,
    "begins after the time": 5,
    "drains before what has come": 21,
    "drains with the newest cursor": 4,
    "goes at the pace of the slowest": 7,
    "ignores the epoch": 3,
    "miscounts on the way": 9,
    "mixes up signed bytes": 5,
    "passes by what is due": 21,
    "shares with other filters": 11,
    "stops before it has caught up": 9,
}
