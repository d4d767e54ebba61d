"""What a watch guarantees, over the model of the log and the recorded streams.

The rules are those that etcd documents for its watches ("Watch APIs" in the KV API guarantees:
ordered, unique, reliable, atomic, resumable, bookmarkable) and checks in its robustness tests,
in the terms of this feed: a revision is a sequence, a progress notification is a heartbeat, a
compaction is a deletion by retention. Each returns violations as texts for people.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from tests.oracle.history import Response, Stream
from tests.oracle.model import Era, Model


def ordered(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """Events come in the order of the log, and the cursor never goes back.

    etcd, "Ordered": events are ordered by revision; an event never appears on a watch if it
    precedes an event in time that has already been posted.
    """
    for stream in streams:
        last = 0
        for seen in stream.events():
            if seen.sequence < last:
                yield f"{stream.name}: event {seen.sequence} came after event {last}"
            last = max(last, seen.sequence)
        for before, after in _steps(stream):
            if after.cursor.sequence < before.cursor.sequence:
                yield (
                    f"{stream.name}: its cursor went back from {before.cursor.sequence}"
                    f" to {after.cursor.sequence}"
                )


def unique(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """An event never comes twice on a stream, and an id has one number for the whole retention.

    etcd, "Unique": an event never appears on a watch twice.
    """
    for stream in streams:
        seen: set[int] = set()
        for event in stream.events():
            if event.sequence in seen:
                yield f"{stream.name}: event {event.sequence} came twice"
            seen.add(event.sequence)
    for era in model.eras:
        numbers: dict[str, int] = {}
        for post in era.acknowledged:
            if post.duplicate:
                held = era.stored.get(post.sequence)
                if held is not None and held.event.id != post.event.id:
                    yield f"{post.event.id} is said to be a duplicate of {held.event.id}"
                continue
            before = numbers.get(post.event.id, 0)
            if before > post.known.planned:
                yield f"{post.event.id} was stored twice, as {before} and as {post.sequence}"
            numbers[post.event.id] = post.sequence


def reliable(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A stream misses no matching event between where it started and where it stands.

    What a gap told is not missed; whether the gap was right is another question (`losses`). And at
    rest every open stream that reads has everything: neither slow readers nor a filter that is
    woken by the wrong key may keep an event from it.

    etcd, "Reliable": a sequence of events never drops any subsequence of events.
    """
    for stream in streams:
        if not stream.responses:
            continue
        era = model.era_of(stream.epoch)
        got = {seen.sequence for seen in stream.events()}
        for number in _due(era, stream, stream.start, stream.position):
            if number not in got:
                yield f"{stream.name}: event {number} was passed over in silence"
        for rest in stream.rests:
            responses = stream.responses[: rest.responses]
            if not responses:
                yield f"{stream.name}: was not opened"
                continue
            had = {seen.sequence for response in responses for seen in response.events}
            for number in _due(era, stream, stream.start, rest.newest):
                if number not in had:
                    yield f"{stream.name}: event {number} had not come when nothing moved any more"


def resumable(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """Leaving with a cursor and resuming gives the same as never having left.

    Streams that each go on where the one before was left are read as one, and compared with the
    log: everything that matches, once, in its order.

    etcd, "Resumable": a broken watch can be resumed by establishing a new watch starting after
    the last revision received in a watch event before the break.
    """
    followed = {id(stream.resumes) for stream in streams if stream.resumes}
    for last in streams:
        if id(last) in followed or not last.responses or last.resumes is None:
            continue
        chain = _chain(last)
        era = model.era_of(last.epoch)
        got = [seen.sequence for stream in chain for seen in stream.events()]
        lost = [lost for stream in chain for lost in stream.told_missing()]
        # What a gap in a first response told was lost between two streams.
        lost += [(before.position, after.start) for before, after in pairwise(chain)]
        told = [
            number
            for number in _matching(era, last, chain[0].start, last.position)
            if not _within(number, lost)
        ]
        if any(
            after.responses[0].gap is None and after.start != before.position
            for before, after in pairwise(chain)
        ):
            yield f"{last.name}: resumed elsewhere than where it had been left"
        elif got != told:
            yield f"{last.name}: over {len(chain)} streams it got {got}, without leaving {told}"


def bookmarkable(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A cursor never stands ahead of an event that is yet to be delivered on its stream.

    So whoever saves a cursor has had everything up to it; a heartbeat covers nothing but what did
    not match, and after a silence it has reached the newest event.

    etcd, "Bookmarkable": progress notification events guarantee that all events up to a revision
    have been delivered. A progress notification ahead of events was a bug there.
    """
    for stream in streams:
        if not stream.responses:
            continue
        era = model.era_of(stream.epoch)
        if stream.responses[0].events:
            yield f"{stream.name}: its first response had events"
        for before, after in _steps(stream):
            stands, moves_to = before.cursor.sequence, after.cursor.sequence
            for seen in after.events:
                if seen.sequence <= stands:
                    yield f"{stream.name}: cursor {stands} was ahead of event {seen.sequence}"
                if seen.sequence > moves_to:
                    yield f"{stream.name}: cursor {moves_to} is behind its event {seen.sequence}"
            if not after.events and after.gap is None:
                for number in _matching(era, stream, stands, moves_to):
                    yield f"{stream.name}: a heartbeat's cursor {moves_to} covers event {number}"
        for rest in stream.rests:
            if not rest.responses:
                continue  # it was not opened, which is another's to say
            cursor = stream.responses[rest.responses - 1].cursor.sequence
            if rest.silence and cursor != rest.newest:
                yield f"{stream.name}: at {cursor} after a silence, the newest is {rest.newest}"


def filter_correct(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """Nothing comes that does not match, whether from the log or live.

    etcd: a watch delivers events of its key range only.
    """
    for stream in streams:
        for seen in stream.events():
            if not stream.opening.wanted.matches(seen.fields):
                yield f"{stream.name}: event {seen.sequence} does not match: {seen.fields}"


def truthful(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """`live` is said by those only who have what the log held when they came, and who have not
    fallen out of the window since; and at rest everybody who reads says it.
    """
    for stream in streams:
        for response in stream.responses:
            cursor = response.cursor.sequence
            if response.live and cursor < stream.opened.newest:
                yield (
                    f"{stream.name}: says live at {cursor}, but {stream.opened.newest} was stored"
                    " before it came"
                )
            # The response was made after the one before it had been taken.
            if (
                response.live
                and stream.window is not None
                and cursor < response.before.settled - stream.window
            ):
                yield (
                    f"{stream.name}: says live at {cursor}, out of the window: the newest was"
                    f" {response.before.settled}"
                )
        for rest in stream.rests:
            if not all(it.live for it in stream.responses[: rest.responses][-1:]):
                yield f"{stream.name}: does not say live although it has everything"


def identical(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """Everybody gets the same bytes of an event: those that were stored.

    Signed bytes come as they were posted. Retention may delete them between the reading of an
    event and theirs; then they are missing, but never other bytes.
    """
    for era in model.eras:
        on_disk = {row.sequence: row.event for audit in era.audits for row in audit.rows}
        for stream in streams:
            if stream.epoch != era.epoch:
                continue
            for seen in stream.events():
                held = era.stored.get(seen.sequence)
                if held is None or held.event.id != seen.id:
                    yield f"{stream.name}: event {seen.sequence} is {seen.id}, not what was posted"
                    continue
                if seen.encoded != on_disk.setdefault(seen.sequence, seen.encoded):
                    yield f"{stream.name}: event {seen.sequence} has other bytes than are stored"
                if not seen.encoded.startswith(held.event.content):
                    yield f"{stream.name}: event {seen.sequence} was encoded a second time"
                if (seen.cursor.epoch, seen.cursor.sequence) != (era.epoch, seen.sequence):
                    yield f"{stream.name}: event {seen.sequence} has another's cursor"
                if seen.raw != (held.event.raw if stream.opening.raw else b"") and not (
                    seen.raw == b"" and seen.sequence <= era.planned
                ):
                    yield f"{stream.name}: event {seen.sequence} has other signed bytes"


def undisturbed(model: Model, streams: Sequence[Stream]) -> Iterator[str]:
    """A sleeper is woken by events that share a value with its filter, and by nothing else."""
    for stream in streams:
        if stream.wakes is None or stream.ended_at is None:
            continue
        era = model.era_of(stream.epoch)
        arrived = range(stream.opened.newest + 1, stream.ended_at.possible + 1)
        concerned = sum(
            1
            for number in arrived
            if (held := era.stored.get(number)) is None
            or stream.opening.wanted.concerns(held.event.fields)
        )
        # A round may have been due when it came, for what had arrived just before.
        allowed = concerned + 1 + (stream.drained is not None)
        if stream.wakes > allowed:
            yield f"{stream.name}: was woken {stream.wakes} times, {allowed} events concerned it"


def _steps(stream: Stream) -> Iterable[tuple[Response, Response]]:
    return pairwise(stream.responses)


def _matching(era: Era, stream: Stream, after: int, through: int) -> list[int]:
    wanted = stream.opening.wanted
    return [
        number
        for number in range(after + 1, through + 1)
        if (held := era.stored.get(number)) is not None and wanted.matches(held.event.fields)
    ]


def _due(era: Era, stream: Stream, after: int, through: int) -> list[int]:
    lost = stream.told_missing()
    return [it for it in _matching(era, stream, after, through) if not _within(it, lost)]


def _within(number: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(above < number <= up_to for above, up_to in ranges)


def _chain(last: Stream) -> list[Stream]:
    chain = [last]
    while (before := chain[0].resumes) is not None and before.epoch == last.epoch:
        chain.insert(0, before)
    return chain
