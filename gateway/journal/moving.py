"""Copying and moving a log from one place to another: which of the two it is, and step by step.

Whatever breaks off in between, the same command goes on where it was; `moves` says why two logs
with one epoch never live.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.journal.content import Content, Progress, unheard
from gateway.journal.copying import Copied, CopyError, copy_log, filled
from gateway.journal.moves import Arrival, Move, Opening, Standing
from gateway.journal.ports import EventLog

_ANYHOW = Opening(is_for_move=True)


class Place(Protocol):
    """Where a log is, or may be made. All methods raise LogOpenError; `str` names it for people."""

    async def standing(self) -> Standing | None:
        """Return which log there is; None if there is none."""

    async def open(self, opening: Opening) -> EventLog:
        """Open the log; where there is none, make it as the opening says."""

    async def depart(self, standing: Standing, move: Move) -> None:
        """Close the log for good, durably, if it is still as it was and nobody has it open."""

    async def settle(self, move: Move) -> None:
        """Have the log live that a move has brought, durably."""


async def copy_to(
    source: Place, target: Place, content: Content, told: Progress = unheard
) -> Copied:
    """Copy a log to a new one, which gets an epoch of its own, or go on with that.

    Raises CopyError, and what places and ports raise.
    """
    here, there = await source.standing(), await target.standing()
    if here is None:
        raise CopyError(f"there is no log at {source}")
    _must_not_arrive(source, here)
    if there is not None:
        if there.epoch == here.epoch and there.marks.arriving is None:
            raise CopyError("both are the same log: name a new one to copy to")
        Opening().check(there.marks, target)
    return await _copied(source, target, Opening(), content, told)


async def move_to(
    source: Place, target: Place, content: Content, told: Progress = unheard
) -> Copied | None:
    """Move a log, which keeps its epoch and is closed for good where it was, or go on with that.

    None if it was moved already. Raises CopyError, and what places and ports raise.
    """
    here, there = await source.standing(), await target.standing()
    if here is None:
        raise CopyError(f"there is no log at {source}")
    _must_not_arrive(source, here)
    move = _move(source, target, here, there)
    if move is None:
        return None
    through = added = 0
    if here.marks.departed is None:
        arrival = Opening(arrival=Arrival(here.epoch, move), is_for_move=True)
        copied = await _copied(source, target, arrival, content, told)
        through, added = copied.span.newest, copied.added
        await source.depart(here, move._replace(place=str(target)))
    # What came before the log was closed, if it was in use.
    copied = await _copied(source, target, _ANYHOW, content, told, through)
    await _must_go_here(source, target, move)
    await target.settle(move)
    return Copied(copied.span, copied.added + added)


async def _must_go_here(source: Place, target: Place, move: Move) -> None:
    """Raise CopyError if another move has taken the log away, which was begun at the same time."""
    standing = await source.standing()
    departed = None if standing is None else standing.marks.departed
    if departed is None or departed.id != move.id:
        where = "another place" if departed is None else departed.place
        raise CopyError(f"the log at {source} was moved to {where} meanwhile, not to {target}")


def _must_not_arrive(source: Place, here: Standing) -> None:
    if here.marks.departed is None:
        Opening().check(here.marks, source)


def _move(source: Place, target: Place, here: Standing, there: Standing | None) -> Move | None:
    """Return the move that is begun or gone on with, None if it is done. Raises CopyError."""
    departed = here.marks.departed
    if departed is None:
        if there is None:
            return Move.begun(str(source))
        arriving = there.marks.arriving
        if arriving is None or there.epoch != here.epoch:
            raise CopyError(
                f"there is a log at {target} already, which is not the beginning of this move: name"
                " a new one"
            )
        return arriving
    if there is not None and there.epoch == here.epoch:
        arriving = there.marks.arriving
        if arriving is None and there.marks.departed is None:
            return None
        if arriving is not None and arriving.id == departed.id:
            return arriving
    raise CopyError(
        f"the log at {source} was moved to {departed.place}, and is closed for good. If it is lost"
        " there, copy this one without --move: that makes a log with a new epoch"
    )


async def _copied(
    source: Place,
    target: Place,
    opening: Opening,
    content: Content,
    told: Progress,
    compared_through: int = 0,
) -> Copied:
    async with _open(source, _ANYHOW) as one:
        arrival = opening.arrival
        if arrival is not None and arrival.epoch != one.journal.epoch:
            raise CopyError(
                f"the log at {source} was a copy, and has got a new epoch just now: give the"
                " command again"
            )
        await filled(one, told)
        begins_at = one.index.span.oldest
        made = Opening(begins_at, arrival, opening.is_for_move)
        async with _open(target, made) as other:
            return await copy_log(one, other, content, told, compared_through)


@asynccontextmanager
async def _open(place: Place, opening: Opening) -> AsyncIterator[EventLog]:
    log = await place.open(opening)
    try:
        yield log
    finally:
        await log.close()
