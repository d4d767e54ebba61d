"""Signed bytes beside events, for those who ask for them."""

from collections.abc import Sequence

from gateway.events.entry import StoredFrame
from gateway.events.frames import with_raw
from gateway.events.log import EventLog


async def frames_with_raw(log: EventLog, stored: Sequence[StoredFrame]) -> list[bytes]:
    """Return frames with their signed bytes.

    An event that retention has deleted since it was read comes without them.
    """
    if not stored:
        return []
    raw = await log.raw([it.sequence for it in stored])
    return [with_raw(it.frame, raw.get(it.sequence, b"")) for it in stored]
