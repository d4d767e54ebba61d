"""Broken indexes: what is read and looked up, by number and id."""

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.journal.events import Appended, Entry, Framed, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.reading import Asker, Batch, StoredEvent, TimeBounds
from tests.contract import keys, listening, many, paging, reading, retention
from tests.contract.broken import broken
from tests.contract.memory import MemoryIndex, MemoryJournal


class _IsOneBehind(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        batch = await super().read(after, *arguments)
        newest = self.kept.newest
        frames = [it for it in batch.frames if it.sequence < newest]
        return Batch(frames, max(min(batch.through, newest - 1), after))


class _NumbersBeforeItStores(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if self.closed or event.id in self.kept.numbers:
            return await super().append(event)
        self.kept.newest += 1
        number = self.kept.newest
        for _ in range(number % 7):
            await asyncio.sleep(0)
        self.kept.events[number] = event
        self.kept.numbers[event.id] = number
        self.arrived(number)
        return Appended(number, duplicate=False)


class _PassesOverWhatIsNotThere(MemoryIndex):
    def allows(self, sequence: int, wanted: Filter, *bounds: Any) -> bool:
        return sequence in self.kept.events and super().allows(sequence, wanted, *bounds)


class _BeginsAtTheNumber(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        return await super().read(max(after - 1, self.kept.deleted_through), *arguments)


class _SkipsTheLastOfABatch(MemoryIndex):
    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        batch = await super().read(after, wanted, limit, visible)
        if len(batch.frames) == limit:
            return Batch(batch.frames[:-1], batch.through)
        return batch


class _GivesOneMoreThanTheLimit(MemoryIndex):
    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        return await super().read(after, wanted, limit + 1, visible)


class _SaysItHasLookedAtAll(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        batch = await super().read(after, *arguments)
        return Batch(batch.frames, max(after, self.kept.newest))


class _StaysWhereNothingMatches(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        batch = await super().read(after, *arguments)
        return Batch(batch.frames, batch.frames[-1].sequence if batch.frames else after)


class _MovesPositionsBackToTheNewest(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        batch = await super().read(after, *arguments)
        return Batch(batch.frames, min(batch.through, self.kept.newest))


class _ReadsWithoutMeasure(MemoryIndex):
    bytes_max = 2**40


class _MeasuresEachPieceByItself(MemoryIndex):
    def step(
        self, numbers: Sequence[int], wanted: Filter, limit: int, bounds: TimeBounds | None = None
    ) -> tuple[Sequence[Framed], int]:
        frames, looked_at = super().step(numbers, wanted, limit, bounds)
        more, further = super().step(numbers[looked_at:], wanted, limit - len(frames), bounds)
        return [*frames, *more], looked_at + further


class _RefusesWhatIsLarge(MemoryIndex):
    def step(self, *arguments: Any) -> tuple[Sequence[Framed], int]:
        found, looked_at = super().step(*arguments)
        return [it for it in found if len(it.frame) <= self.bytes_max], looked_at


class _GivesTheNewestFirst(MemoryIndex):
    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        return list(await super().recent(limit, bytes_max))[::-1]


class _GivesOneMoreThanFits(MemoryIndex):
    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        fitting = await super().recent(limit, bytes_max)
        return await super().recent(min(len(fitting) + 1, limit), 2**40)


class _GivesTheOldestOfThem(MemoryIndex):
    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        return list(await super().recent(2**40, bytes_max))[:limit]


class _GivesSignedBytesGoingUp(MemoryIndex):
    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        return await super().raw(sorted(sequences), asker)


class _MixesUpSignedBytes(MemoryIndex):
    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        found = await super().raw(sequences, asker)
        return dict(zip(found, sorted(found.values()), strict=True))


class _LeavesOutWhatIsNotHeld(MemoryIndex):
    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        return await super().raw([it for it in sequences if it in self.kept.events], asker)


class _FindsIdsWithoutCase(MemoryIndex):
    async def find(self, event_id: str, *arguments: Any) -> StoredEvent | None:
        same = [it for it in self.kept.numbers if it.casefold() == event_id.casefold()]
        return await super().find(same[0] if same else event_id, *arguments)


class _FindsIdsUpToANul(MemoryIndex):
    async def find(self, event_id: str, *arguments: Any) -> StoredEvent | None:
        begins, _, _ = event_id.partition("\0")
        same = [it for it in self.kept.numbers if it.partition("\0")[0] == begins]
        return await super().find(same[0] if same else event_id, *arguments)


BREAKS = (
    broken(
        "is one event behind",
        reading.what_append_has_returned_can_be_read,
        reading.reading_begins_after_a_number,
        index=_IsOneBehind,
    ),
    broken(
        "numbers events before it stores them",
        reading.who_reads_while_others_append_misses_nothing,
        listening.a_listener_is_told_everything_once_and_in_order,
        journal=_NumbersBeforeItStores,
        index=_PassesOverWhatIsNotThere,
    ),
    broken(
        "begins at the number instead of after it",
        reading.reading_begins_after_a_number,
        reading.reading_stops_at_the_limit_and_goes_on_there,
        index=_BeginsAtTheNumber,
    ),
    broken(
        "skips the last of a batch",
        reading.reading_stops_at_the_limit_and_goes_on_there,
        many.rare_and_common_events_of_many_are_found,
        index=_SkipsTheLastOfABatch,
    ),
    broken(
        "gives one more than the limit",
        reading.reading_stops_at_the_limit_and_goes_on_there,
        index=_GivesOneMoreThanTheLimit,
    ),
    broken(
        "says that it has looked at all",
        reading.reading_stops_at_the_limit_and_goes_on_there,
        reading.one_read_is_not_larger_than_it_may_be,
        many.rare_and_common_events_of_many_are_found_after_pruning,
        index=_SaysItHasLookedAtAll,
    ),
    broken(
        "stays where nothing matches",
        reading.reading_goes_past_what_does_not_match,
        keys.reading_gives_only_what_is_visible,
        index=_StaysWhereNothingMatches,
    ),
    broken(
        "moves positions back to the newest",
        reading.a_position_is_never_moved_back,
        index=_MovesPositionsBackToTheNewest,
    ),
    broken(
        "measures each piece by itself",
        many.a_large_part_of_many_events_is_read_in_pieces,
        index=_MeasuresEachPieceByItself,
    ),
    broken(
        "reads without measure",
        reading.one_read_is_not_larger_than_it_may_be,
        paging.one_page_is_not_larger_than_one_read_may_be,
        reading.as_many_signed_bytes_are_given_as_one_read_may_have,
        index=_ReadsWithoutMeasure,
    ),
    broken(
        "refuses what is large",
        reading.one_read_is_not_larger_than_it_may_be,
        paging.one_page_is_not_larger_than_one_read_may_be,
        index=_RefusesWhatIsLarge,
    ),
    broken(
        "gives the newest first",
        reading.the_newest_are_given_oldest_first,
        index=_GivesTheNewestFirst,
    ),
    broken(
        "gives one more than fits",
        reading.the_newest_are_given_oldest_first,
        index=_GivesOneMoreThanFits,
    ),
    broken(
        "gives the oldest of what fits",
        reading.the_newest_are_given_oldest_first,
        index=_GivesTheOldestOfThem,
    ),
    broken(
        "gives signed bytes going up",
        reading.signed_bytes_are_given_by_number_up_and_down,
        index=_GivesSignedBytesGoingUp,
    ),
    broken(
        "mixes up signed bytes",
        reading.signed_bytes_are_given_by_number_up_and_down,
        index=_MixesUpSignedBytes,
    ),
    broken(
        "leaves out what is not held",
        reading.signed_bytes_that_are_not_held_are_empty,
        retention.what_has_been_deleted_is_found_by_nothing,
        index=_LeavesOutWhatIsNotHeld,
    ),
    broken(
        "finds ids without case",
        reading.an_event_is_found_by_its_id,
        index=_FindsIdsWithoutCase,
    ),
    broken(
        "finds ids up to a NUL",
        reading.an_event_is_found_by_its_id,
        index=_FindsIdsUpToANul,
    ),
)
