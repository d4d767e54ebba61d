"""Copying a log from one home to another, by the ports alone: events keep their numbers.

What has been copied is durable in the new log, so that copying goes on there after it was broken
off. What the old log gets meanwhile is not copied.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic

from gateway.journal.content import Content, Progress, unheard
from gateway.journal.errors import LogError, OvertakenError
from gateway.journal.events import NewEvent
from gateway.journal.filter import EVERYTHING
from gateway.journal.ports import EventLog
from gateway.journal.reading import Span

# Events that are read and appended together. A home stores those in few groups.
_LOT = 512

# How long an index may have a problem before the copy is given up, in seconds: servers may be
# electing a leader. And how often it is looked at.
_PROBLEM_S = 10.0
_LOOK_EVERY_S = 0.2


class CopyError(LogError):
    """The log cannot be copied, or the copy is not the same; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: what the new log holds now, and how many events were added for that."""

    span: Span
    added: int


async def copy_log(
    source: EventLog,
    target: EventLog,
    content: Content,
    told: Progress = unheard,
    compared_through: int = 0,
) -> Copied:
    """Copy all events and checkpoints, and compare both logs then, event by event.

    The target is a new log that begins with the number of the source's oldest event, or what an
    earlier copy has left. What has numbers up to `compared_through` has been compared before.
    Raises CopyError, and what the ports raise.
    """
    for log in (source, target):
        await filled(log, told)
    span = source.index.span
    after = await _continues(source, target, content)
    added = 0
    async for lot in _events(source, after, span.newest, content):
        await _append(target, after, lot)
        after += len(lot)
        added += len(lot)
        told("copying events", after - span.oldest + 1, span.count)
    for name in content.checkpoints:
        if (value := await source.checkpoints.get(name)) is not None:
            await target.checkpoints.set(name, value)
    await _followed(target, span.newest, told)
    await _compare(source, target, content, compared_through, span.newest, told)
    return Copied(target.index.span, added)


async def filled(log: EventLog, told: Progress) -> None:
    """Wait until an index has all that its journal holds. Raises CopyError if it does not get it.

    Where an index is a copy, it passes over what its journal lacks; nothing may be passed over
    here.
    """
    await _followed(log, log.journal.span.newest, told)
    oldest = log.journal.span.oldest
    if log.copying is not None and log.index.span.oldest > oldest:
        raise CopyError(
            f"the {log.home} log lacks events between {oldest} and {log.index.span.oldest}: see"
            " what `log check` says"
        )


async def _followed(log: EventLog, number: int, told: Progress) -> None:
    """Wait until an event can be read."""
    if log.copying is None:
        return
    began, gives_up_at = log.index.span.newest, monotonic() + _PROBLEM_S
    while log.index.span.newest < number:
        told("reading the stream", log.index.span.newest - began, number - began)
        if log.copying.problem is None:
            gives_up_at = monotonic() + _PROBLEM_S
        elif monotonic() > gives_up_at:
            raise CopyError(f"the {log.home} log cannot be read: {log.copying.problem}")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _continues(source: EventLog, target: EventLog, content: Content) -> int:
    """Return the number after which the copy goes on. Raises CopyError if it cannot."""
    here, there = source.index.span, target.index.span
    if there.newest > here.newest:
        raise CopyError(
            f"the log to copy to holds events up to number {there.newest}, and the one to copy ends"
            f" with {here.newest}: it is not a copy of it. Name a new log"
        )
    if there.newest < here.oldest - 1:
        raise CopyError(
            f"the log to copy to ends with number {there.newest}, and the one to copy begins with"
            f" {here.oldest}: the events between are gone. Name a new log"
        )
    if there.count == 0 and there.newest != here.oldest - 1:
        raise CopyError(
            f"the log to copy to is empty and would begin with number {there.oldest} instead of"
            f" {here.oldest}. Name a new log"
        )
    if there.count and there.newest >= here.oldest:
        # All are compared at the end; this one tells another log before anything is added to it.
        await _must_agree(source, target, content, there.newest - 1, there.newest)
    return there.newest


async def _append(target: EventLog, after: int, events: list[NewEvent]) -> None:
    done = await asyncio.gather(*map(target.journal.append, events))
    for number, (event, appended) in enumerate(zip(events, done, strict=True), after + 1):
        if appended.duplicate or appended.sequence != number:
            raise CopyError(
                f"event {event.id!r} has number {number}, and the log to copy to has it with"
                f" {appended.sequence}: something else stores events there, or it holds other"
                " events. Copy to a new log, with no gateway at either"
            )


async def _compare(
    source: EventLog,
    target: EventLog,
    content: Content,
    after: int,
    newest: int,
    told: Progress,
) -> None:
    there = target.index.span
    if there.newest != newest:
        raise CopyError(f"the copy ends with number {there.newest} instead of {newest}")
    if target.copying is not None:
        # Asks the journal what it holds: it may have deleted what its index still has.
        await target.copying.reach(newest + 1, 0)
    oldest, there_oldest = source.index.span.oldest, target.journal.span.oldest
    if there_oldest > oldest:
        raise CopyError(
            f"the copy begins with number {there_oldest} instead of {oldest}: it may keep less than"
            " the log to copy holds (GATEWAY_RETENTION_SIZE, or the limits of its stream). Give it"
            " more, and copy to a new log"
        )
    after = first = max(oldest - 1, after)
    while after < newest:
        told("comparing events", after - first, newest - first)
        through = min(after + _LOT, newest)
        await _must_agree(source, target, content, after, through)
        after = through
    for name in content.checkpoints:
        if await source.checkpoints.get(name) != await target.checkpoints.get(name):
            raise CopyError(f"the copy has another value for the checkpoint {name!r}")


async def _must_agree(
    source: EventLog, target: EventLog, content: Content, after: int, through: int
) -> None:
    """Compare the events after a number, up to another. Raises CopyError."""
    pairs = []
    for log in (source, target):
        found: list[NewEvent] = []
        async for lot in _events(log, after, through, content):
            found += lot
        pairs.append(found)
    for number, (one, other) in enumerate(zip(*pairs, strict=True), after + 1):
        if one != other:
            raise CopyError(
                f"event {number} is {one.id!r}, and in the log to copy to it is {other.id!r} or has"
                " other content: that is not a copy of this log. Name a new log"
            )


async def _events(
    log: EventLog, after: int, through: int, content: Content
) -> AsyncIterator[list[NewEvent]]:
    """Yield a log's events after a number up to another in lots, as they were stored.

    Raises CopyError.
    """
    while after < through:
        limit = min(_LOT, through - after)
        try:
            batch = await log.index.read(after, EVERYTHING, limit, EVERYTHING)
        except OvertakenError as error:
            raise CopyError(
                f"event {after + 1} was deleted meanwhile, as the retention of the {log.home} log"
                f" wants it ({error}): copy to a new log"
            ) from error
        numbers = [it.sequence for it in batch.frames]
        missing = next(
            (it for it, found in enumerate(numbers, after + 1) if it != found),
            None if numbers else after + 1,
        )
        if missing is not None:
            raise CopyError(f"event {missing} is missing: see what `log check` says")
        raw: dict[int, bytes] = {}
        while rest := numbers[len(raw) :]:
            raw |= await log.index.raw(rest, None)
        try:
            yield [
                content.event_of(content.body_of(it.sequence, it.frame), raw[it.sequence])
                for it in batch.frames
            ]
        except ValueError as error:
            raise CopyError(
                f"of the events {numbers[0]} to {numbers[-1]} one cannot be read: {error}. See what"
                " `log check` says"
            ) from error
        after = numbers[-1]
