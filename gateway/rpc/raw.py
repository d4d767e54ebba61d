"""Signed bytes beside events, for those who ask for them."""

from collections.abc import Sequence

from gateway.journal.entry import StoredFrame
from gateway.feed.frames import with_raw
from gateway.journal.log import Asker, EventLog


async def frames_with_raw(
    log: EventLog, stored: Sequence[StoredFrame], bytes_max: int, asker: Asker | None
) -> list[bytes]:
    """Return the first of some frames with their signed bytes: as many as fit, and at least one.

    They are read as they are needed: all of them may take a thousand times as much. An event that
    retention has deleted since it was read comes without them. `asker`: see `EventLog.raw`.
    """
    frames: list[bytes] = []
    size = 0
    while len(frames) < len(stored):
        rest = stored[len(frames) :]
        raw = await log.raw([it.sequence for it in rest], asker)
        for it in rest[: len(raw)]:
            frame = with_raw(it.frame, raw[it.sequence])
            size += len(frame)
            if size > bytes_max and frames:
                return frames
            frames.append(frame)
    return frames
