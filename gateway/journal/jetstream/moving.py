"""Moving: what a log in a stream says of moves, in the stream's metadata.

A stream that a move takes away is sealed: no gateway that still has it open can store a thing in it
then, whatever it believes.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.api import JetStreamApi, Json
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.stream import epoch_of, mark, marks_in
from gateway.journal.moves import ARRIVING, DEPARTED, Move, Standing


async def standing_of(place: StreamPlace, access: Access) -> Standing | None:
    """Return which log there is in a stream; None if there is no stream. Raises LogOpenError."""
    async with _asking(place, access) as api:
        info = await api.info()
        return None if info is None else _standing(place, info.config)


async def depart(place: StreamPlace, access: Access, standing: Standing, move: Move) -> None:
    """Close a stream for good: it takes nothing any more. Raises LogOpenError.

    Also if it is not as it was.
    """
    said = {mark(DEPARTED): str(move)}
    await _change(place, access, lambda found: found == standing, said, sealed=True)


async def settle(place: StreamPlace, access: Access, move: Move) -> None:
    """Have a log live that a move has brought. Raises LogOpenError, also if it was another one."""
    said = {mark(ARRIVING): None}
    await _change(place, access, lambda found: found.marks.arriving == move, said)


async def _change(
    place: StreamPlace,
    access: Access,
    holds: Callable[[Standing], bool],
    said: Mapping[str, str | None],
    **more: object,
) -> None:
    async with _asking(place, access) as api:
        info = await api.info()
        if info is None or not holds(_standing(place, info.config)):
            raise LogOpenError(
                f"the event log {place} has changed meanwhile: give the command again, when nothing"
                " else moves the log"
            )
        metadata = {**info.config["metadata"], **said}
        kept = {name: text for name, text in metadata.items() if text is not None}
        await api.update({**info.config, **more, "metadata": kept})


def _standing(place: StreamPlace, config: Json) -> Standing:
    epoch = epoch_of(config)
    if epoch is None:
        raise LogOpenError(f"the stream {place} is no event log: it says of no epoch")
    return Standing(epoch, marks_in(config))


@asynccontextmanager
async def _asking(place: StreamPlace, access: Access) -> AsyncIterator[JetStreamApi]:
    broker = await Broker.connect_now(place, access)
    try:
        yield JetStreamApi(broker, place.stream)
    except LogOpenError:
        raise
    except LogUnavailableError as error:
        raise LogOpenError(f"cannot open the event log {place}: {error}") from error
    finally:
        await broker.close()
