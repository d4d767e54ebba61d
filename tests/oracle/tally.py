"""What a story went through: so that it can be shown that the schedules meet every trouble."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.oracle.history import After, Ended, Response, Stream
from tests.oracle.world import Story

# What hundreds of schedules must have met, each at least once.
TROUBLES = (
    "acknowledged",
    "duplicates",
    "refused for a full disk",
    "stored but never answered",
    "posted but not on disk after a crash",
    "torn commits",
    "crashes",
    "other logs",
    "deletions",
    "events",
    "events from the log",
    "seams crossed",
    "fallen out of the window",
    "heartbeats",
    "resumed",
    "resumed after a gap",
    "cursors that hold",
    "gap CURSOR_EXPIRED",
    "gap EPOCH_CHANGED",
    "gap CURSOR_AHEAD",
    "overtaken, told",
    "overtaken, failed",
    "error CURSOR_EXPIRED",
    "error EPOCH_CHANGED",
    "error CURSOR_AHEAD",
    "drain SHUTDOWN",
    "drain MAX_AGE",
    "caught up and stopped",
    "broken by a crash",
    "at rest",
    "signed bytes",
)


def tally(story: Story) -> Counter[str]:
    counts: Counter[str] = Counter()
    counts["torn commits"] = story.torn
    eras = story.model.eras
    counts["other logs"] = len(eras) - 1
    for era in eras:
        counts["acknowledged"] += len(era.acknowledged)
        counts["duplicates"] += sum(post.duplicate for post in era.acknowledged)
        counts["refused for a full disk"] += era.refused
        counts["deletions"] += sum(it.did > it.from_ for it in era.deletions)
        answered = {post.event.id for post in era.acknowledged}
        on_disk = {row.id for audit in era.audits for row in audit.rows}
        counts["stored but never answered"] += len(on_disk - answered)
        counts["posted but not on disk after a crash"] += len(
            era.posted.keys() - on_disk - answered
        )
        counts["crashes"] += era.crashes
    for stream in story.streams:
        counts.update(_of_stream(stream))
    return counts


def _of_stream(stream: Stream) -> Iterator[str]:
    yield from ("at rest" for _ in stream.rests)
    yield from _of_end(stream)
    if not stream.responses:
        return
    first = stream.responses[0]
    if first.gap is not None:
        yield f"gap {first.gap.reason}"
    elif isinstance(stream.opening.place, After):
        yield "cursors that hold"
    if stream.resumes is not None:
        yield "resumed" if first.gap is None else "resumed after a gap"
    for before, after in pairwise(stream.responses):
        yield from _of_response(before, after)


def _of_end(stream: Stream) -> Iterator[str]:
    match stream.ended:
        case Ended("OUT_OF_RANGE", reason):
            yield f"error {reason}"
            if stream.responses:
                yield "overtaken, failed"
        case Ended("broken"):
            yield "broken by a crash"
        case Ended("ok") if stream.opening.bounded:
            yield "caught up and stopped"


def _of_response(before: Response, after: Response) -> Iterator[str]:
    if after.gap is not None:
        yield "overtaken, told"
    if after.live != before.live:
        yield "seams crossed" if after.live else "fallen out of the window"
    if not after.events and after.cursor.sequence > before.cursor.sequence and not after.gap:
        yield "heartbeats"
    for seen in after.events:
        yield "events"
        if not after.live:
            yield "events from the log"
        if seen.raw:
            yield "signed bytes"
    if after.drain:
        yield f"drain {after.drain}"
