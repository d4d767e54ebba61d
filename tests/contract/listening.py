"""Index: those who listen are told of each new event once, in the log's order, when it is there."""

import asyncio
from collections.abc import Sequence

from gateway.journal.events import Entry
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import Batch
from tests.contract.check import check
from tests.contract.samples import event, events
from tests.contract.under_test import LogUnderTest


def _told(log: LogUnderTest) -> list[Entry]:
    """Listen from now on; return the list of what has been told."""
    told: list[Entry] = []
    log.index.listen(told.extend)
    return told


def _entries(log: LogUnderTest, numbers: Sequence[int]) -> list[Entry]:
    return [log.entry(it) for it in log.frames(numbers)]


@check
async def a_listener_is_told_before_append_returns(log: LogUnderTest) -> None:
    told = _told(log)

    for number in range(1, 10):
        await log.append(event(room=f"r{number}"))
        assert [it.framed.sequence for it in told] == list(range(1, number + 1))


@check
async def a_listener_is_told_everything_once_and_in_order(log: LogUnderTest) -> None:
    told = _told(log)

    for burst in (1, 200, 3, 70):
        await log.append(*[event(room=f"r{number}", kind="k") for number in range(burst)])

    assert told == _entries(log, range(1, 275))


@check
async def a_listener_is_not_told_of_what_was_known(log: LogUnderTest) -> None:
    await log.append(event("a"))
    told = _told(log)

    await log.append(event("b"), event("a"), event("b"))
    await log.append(event("b"))
    await log.append(event("c"))

    assert told == _entries(log, [2, 3])


@check
async def what_a_listener_is_told_of_can_be_read(log: LogUnderTest) -> None:
    spans: list[bool] = []
    reads: list[asyncio.Future[Batch]] = []

    def listener(entries: Sequence[Entry]) -> None:
        first, last = entries[0].framed.sequence, entries[-1].framed.sequence
        spans.append(log.index.span.newest >= last)
        reading = log.index.read(first - 1, EVERYTHING, len(entries), EVERYTHING)
        reads.append(asyncio.ensure_future(reading))

    log.index.listen(listener)
    for _ in range(10):
        await log.append(*events(20))

    assert all(spans)
    read = [framed for batch in await asyncio.gather(*reads) for framed in batch.frames]
    assert read == log.frames(range(1, 201))


@check
async def each_listener_is_told_what_comes_after_it(log: LogUnderTest) -> None:
    early = _told(log)
    await log.append(*events(3))
    late = _told(log)
    await log.append(*events(3))

    assert early == _entries(log, range(1, 7))
    assert late == _entries(log, range(4, 7))
