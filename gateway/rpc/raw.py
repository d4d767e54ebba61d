"""Signed bytes beside events, for those who ask for them."""

from collections.abc import Sequence

from gateway.events.entry import LogEntry
from gateway.events.frames import with_raw
from gateway.events.log import EventLog


async def frames_with_raw(log: EventLog, entries: Sequence[LogEntry]) -> list[bytes]:
    """Return the frames of entries with their signed bytes.

    An event that retention has deleted since it was read comes without them.
    """
    if not entries:
        return []
    raw = await log.raw([entry.sequence for entry in entries])
    return [with_raw(entry.frame, raw.get(entry.sequence, b"")) for entry in entries]
