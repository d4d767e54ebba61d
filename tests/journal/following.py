"""Reading a log to its end, as streams do."""

from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import EventLog


async def followed(log: EventLog, wanted: Filter, after: int, limit: int) -> list[int]:
    found: list[int] = []
    while after < log.index.span.newest:
        batch = await log.index.read(after, wanted, limit, EVERYTHING)
        assert len(batch.frames) <= limit
        assert batch.through > after
        found += [it.sequence for it in batch.frames]
        after = batch.through
    return found
