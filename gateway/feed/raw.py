"""Signed bytes beside events, for those who ask for them."""

from collections.abc import Sequence

from gateway.feed.frames import with_raw
from gateway.journal.events import Framed
from gateway.journal.ports import Index
from gateway.journal.reading import Asker


async def framed_with_raw(
    index: Index, framed: Sequence[Framed], bytes_max: int, asker: Asker | None
) -> list[Framed]:
    """Return the first of some events with their signed bytes: as many as fit, and at least one.

    They are read as they are needed: all of them may take a thousand times as much. An event that
    retention has deleted since it was read comes without them. `asker`: see `Index.raw`. Raises
    LogUnavailableError.
    """
    found: list[Framed] = []
    size = 0
    while len(found) < len(framed):
        rest = framed[len(found) :]
        raw = await index.raw([it.sequence for it in rest], asker)
        for it in rest[: len(raw)]:
            frame = with_raw(it.frame, raw[it.sequence])
            size += len(frame)
            if size > bytes_max and found:
                return found
            found.append(Framed(it.sequence, frame))
    return found
