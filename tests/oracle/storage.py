"""What is on disk: everything acknowledged, once, without holes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.oracle.history import Stream
from tests.oracle.model import Audit, Era, Model


def durable(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """Everything that was answered 2xx is on disk under its number, unless retention deleted it.

    And what a subscriber was sent was acknowledged or is on disk: nobody is told of what may yet
    be lost. The log has no holes: numbers rise by one, and only a beginning is ever deleted.
    """
    for era, successor in pairwise(model.eras):
        if not era.replaced:
            yield f"log {era.epoch.hex()} was gone, and {successor.epoch.hex()} in its place"
    for era in model.eras:
        yield from _acknowledged(era)
        for audit in era.audits:
            yield from _audited(era, audit)
        for deletion in era.deletions:
            if deletion.did != deletion.should:
                yield (
                    f"a deletion went from {deletion.from_} to {deletion.did}, not to"
                    f" {deletion.should}"
                )
    for stream in streams:
        era = model.era_of(stream.epoch)
        for seen in stream.events():
            if seen.sequence not in era.stored:
                yield f"{stream.name}: was sent event {seen.sequence}, which is not stored"


def _acknowledged(era: Era) -> Iterator[str]:
    for post in era.acknowledged:
        held = era.stored.get(post.sequence)
        if held is None and post.sequence > post.known.planned:
            yield f"{post.event.id} was acknowledged as {post.sequence}, which is not stored"
        elif held is not None and held.event.id != post.event.id:
            yield f"number {post.sequence} was given to {held.event.id} and to {post.event.id}"
    fresh = [post.sequence for post in era.acknowledged if not post.duplicate]
    for number in range(era.planned + 1, era.newest + 1):
        if number not in era.stored:
            yield f"the log has a hole at {number}, its newest event is {era.newest}"
    if len(fresh) != len(set(fresh)):
        yield "one number was given to two posts"


def _audited(era: Era, audit: Audit) -> Iterator[str]:
    if audit.damage:
        yield f"the file is damaged: {audit.damage}"
    numbers = [row.sequence for row in audit.rows]
    if numbers != list(range(audit.pruned_through + 1, audit.pruned_through + 1 + len(numbers))):
        yield f"on disk are {numbers} after {audit.pruned_through}"
    if not audit.known.pruned <= audit.pruned_through <= audit.known.planned:
        yield f"on disk is everything up to {audit.pruned_through} deleted, of {audit.known}"
    rows = {row.sequence: row for row in audit.rows}
    for number, id_ in audit.must_hold.items():
        row = rows.get(number)
        if row is None or row.id != id_:
            found = row.id if row else "nothing"
            yield f"{id_} was acknowledged as {number}, on disk is {found}"
    ids = [row.id for row in audit.rows]
    if len(ids) != len(set(ids)):
        yield "an id is on disk twice"
    for row in audit.rows:
        posted = era.stored[row.sequence].event if row.sequence in era.stored else None
        if posted is None or posted.id != row.id:
            yield f"{row.id} is on disk as {row.sequence}, but was never posted"
        elif not row.event.startswith(posted.content) or row.raw != posted.raw:
            yield f"{row.id} is on disk with other bytes than were posted"
