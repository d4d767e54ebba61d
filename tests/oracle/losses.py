"""Loss is loud: nobody is moved in silence, and what is told is true."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from gateway.journal.cursor import Cursor
from tests.oracle.history import After, Earliest, GapTold, Latest, Since, Stream
from tests.oracle.model import Era, Model


def loud(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A cursor whose events are not all held fails with its reason, or is told as a gap.

    The gap is exactly what was lost: from where the reader stood to the oldest event held. The
    same holds for a reader that retention overtakes. And nobody is told of a loss without one.

    etcd: a watch from a compacted revision is cancelled with the compact revision.
    """
    for stream in streams:
        era = model.era_of(stream.epoch)
        if isinstance(stream.opening.place, After):
            yield from _opening(era, stream, stream.opening.place.cursor)
        elif stream.responses and stream.responses[0].gap is not None:
            yield f"{stream.name}: told of a gap, but it had no cursor"
        yield from _on_the_way(era, stream)


def starts_where_asked(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """LATEST is after everything acknowledged, EARLIEST before everything held, and a time is
    before the first event received at it or later.
    """
    for stream in streams:
        if not stream.responses:
            continue
        era, known, start = model.era_of(stream.epoch), stream.opened, stream.start
        match stream.opening.place:
            case Latest() if not known.newest <= start <= known.possible:
                yield f"{stream.name}: LATEST began after {start}, the newest was {known.newest}"
            case Earliest() if not known.pruned <= start <= known.planned:
                yield f"{stream.name}: EARLIEST began after {start}, of {known}"
            case Since(moment):
                yield from _since(era, stream, moment)


def drained(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A server that goes ends streams in order: with OK, a reason, a cursor to resume after, and
    for those who followed live not before they have what had come.
    """
    for stream in streams:
        last = stream.responses[-1] if stream.responses else None
        if any(response.drain for response in stream.responses[:-1]):
            yield f"{stream.name}: went on after a drain"
        # Who leaves between the reason and the end has chosen so.
        ended = stream.ended
        if last is not None and last.drain and ended and ended.how not in ("ok", "left"):
            yield f"{stream.name}: was drained, but ended {ended.how}"
        if stream.drained is None or stream.ended is None or stream.ended.how != "ok":
            continue
        if last is None or not (last.drain or _is_complete(stream)):
            yield f"{stream.name}: ended with OK and without a reason"
        elif _left_live(stream) and stream.position < stream.drained.newest:
            yield (
                f"{stream.name}: followed live and was ended at {stream.position}, before it had"
                f" {stream.drained.newest}"
            )


def bounded(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A stream that was to stop when caught up does so, with what was held at its opening."""
    for stream in streams:
        if not stream.opening.bounded or stream.ended is None or stream.ended.how != "ok":
            continue
        if not stream.responses[-1].drain and not _is_complete(stream):
            yield f"{stream.name}: stopped at {stream.position} before it had caught up"


def _left_live(stream: Stream) -> bool:
    last = stream.responses[-1]
    return last.live and last.drain == "SHUTDOWN"


def _is_complete(stream: Stream) -> bool:
    return stream.opening.bounded and stream.position >= stream.opened.newest


def _opening(era: Era, stream: Stream, text: str) -> Iterator[str]:
    cursor, known = Cursor.parse(text), stream.opened
    must: str = ""
    may: set[str] = {""}
    if cursor.epoch != era.epoch:
        must = "EPOCH_CHANGED"
    elif cursor.sequence > known.possible:
        must = "CURSOR_AHEAD"
    elif cursor.sequence < known.pruned:
        must = "CURSOR_EXPIRED"
    else:
        may |= {"CURSOR_AHEAD"} if cursor.sequence > known.newest else set()
        may |= {"CURSOR_EXPIRED"} if cursor.sequence < known.planned else set()
    first = stream.responses[0] if stream.responses else None
    gap = first.gap if first else None
    told = gap.reason if gap else ""
    if first is None:
        if stream.ended is None or stream.ended.how != "OUT_OF_RANGE":
            return  # it was cut off before it could be told anything
        told = stream.ended.reason
        yield from _error(era, stream, cursor)
    if told not in ({must} if must else may):
        yield (
            f"{stream.name}: after {cursor.sequence} of {cursor.epoch.hex()} it was told"
            f" {told or 'nothing'!r}, not {must or sorted(may)}; {known}"
        )
    elif first is not None and gap is not None:
        if not stream.opening.goes_on:
            yield f"{stream.name}: was told of a gap, but had asked to fail"
        missed = gap.to.sequence - cursor.sequence if told == "CURSOR_EXPIRED" else 0
        if (gap.from_cursor, gap.missed) != (text, missed) or gap.to != first.cursor:
            yield f"{stream.name}: a gap is wrong: {gap} after {cursor.sequence}"
        if not known.pruned <= gap.to.sequence <= known.planned:
            yield f"{stream.name}: a gap goes to {gap.to.sequence}, the oldest held is in {known}"
    elif first is not None and first.cursor != cursor:
        yield f"{stream.name}: was moved from {cursor.sequence} to {first.cursor.sequence}"


def _on_the_way(era: Era, stream: Stream) -> Iterator[str]:
    for before, after in pairwise(stream.responses):
        gap, stands = after.gap, before.cursor.sequence
        if gap is None:
            continue
        yield from _overtaken(era, stream, stands, gap)
        if not stream.opening.goes_on:
            yield f"{stream.name}: was told of a gap, but had asked to fail"
        if gap.to != after.cursor:
            yield f"{stream.name}: a gap is wrong: {gap} after {stands}"
        if gap.to.sequence > after.known.planned:
            yield f"{stream.name}: a gap goes to {gap.to.sequence}, of {after.known}"
    if stream.responses and stream.ended and stream.ended.how == "OUT_OF_RANGE":
        if stream.opening.goes_on:
            yield f"{stream.name}: failed for a loss, but had asked to go on"
        yield from _error(era, stream, stream.responses[-1].cursor)


def _overtaken(era: Era, stream: Stream, stands: int, gap: GapTold) -> Iterator[str]:
    to, from_ = gap.to.sequence, Cursor.parse(gap.from_cursor)
    if from_.epoch != era.epoch or not _passed_over(era, stream, stands, from_.sequence):
        yield f"{stream.name}: a gap begins at {from_}, the stream was at {stands}"
    if gap.reason != "CURSOR_EXPIRED" or not 0 < gap.missed == to - from_.sequence:
        yield f"{stream.name}: a gap is wrong: {gap} after {stands}"
    if to not in era.floors:
        yield f"{stream.name}: a gap goes to {to}, where no deletion ended: {sorted(era.floors)}"


def _passed_over(era: Era, stream: Stream, told: int, at: int) -> bool:
    """Tell whether a stream that was told one place may have come to another without a word.

    It may, past events that it did not ask for: the next response would have told.
    """
    wanted = stream.opening.wanted
    return told <= at and not any(
        wanted.matches(held.event.fields)
        for number in range(told + 1, at + 1)
        if (held := era.stored.get(number)) is not None
    )


def _error(era: Era, stream: Stream, cursor: Cursor) -> Iterator[str]:
    assert stream.ended is not None
    known = stream.ended_at or stream.opened
    metadata, reason = stream.ended.metadata, stream.ended.reason
    try:
        oldest = Cursor.parse(metadata["oldest_cursor"])
        newest = Cursor.parse(metadata["newest_cursor"])
    except KeyError as missing:
        yield f"{stream.name}: its error lacks {missing}"
        return
    if {oldest.epoch, newest.epoch} != {era.epoch}:
        yield f"{stream.name}: its error speaks of another log"
    if not stream.opened.pruned <= oldest.sequence <= known.planned:
        yield f"{stream.name}: its error goes on at {oldest.sequence}, of {known}"
    if not stream.opened.newest <= newest.sequence <= known.possible:
        yield f"{stream.name}: its error's newest is {newest.sequence}, of {known}"
    missed = metadata.get("missed_events")
    if reason != "CURSOR_EXPIRED":
        if missed is not None:
            yield f"{stream.name}: its error counts {missed} events that nobody can count"
        return
    count = int(missed or 0)
    if count <= 0 or not any(
        _passed_over(era, stream, cursor.sequence, floor - count) for floor in era.floors
    ):
        yield f"{stream.name}: its error counts {missed} events after {cursor.sequence}"


def _since(era: Era, stream: Stream, moment_us: int) -> Iterator[str]:
    known, start = stream.opened, stream.start
    # The deletion may go on until the first response has been made.
    planned = stream.responses[0].known.planned
    for number in range(planned + 1, start + 1):
        held = era.stored.get(number)
        if held is not None and held.received_at_us >= moment_us:
            yield f"{stream.name}: began after {start}, past event {number} of its time"
            return
    first = era.stored.get(start + 1)
    early = first is not None and first.received_at_us < moment_us
    if early and start not in era.floors and start < known.newest:
        yield f"{stream.name}: began after {start}, with an event before its time"
