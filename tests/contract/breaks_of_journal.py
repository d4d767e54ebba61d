"""Broken journals: numbers, ids, and what a closed log is when it is opened again."""

import asyncio
from typing import Any

from gateway.journal.events import Appended, NewEvent
from gateway.journal.format import EventFormat
from gateway.journal.ports import EPOCH_BYTES, EventLog
from gateway.journal.reading import Span
from tests.contract import framing, histories, journal, many, reading, retention
from tests.contract.broken import broken
from tests.contract.memory import Kept, MemoryJournal, MemoryPlace
from tests.contract.samples import event


class _HasAFirstEventOfItsOwn(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        log = await super().open(format_)
        if not self.kept.newest:
            await log.journal.append(event("the log's own"))
        return log


class _UsesUpNumbersForKnownIds(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        done = await super().append(event)
        if done.duplicate:
            self.kept.newest += 1
        return done


class _BeginsAtARoundNumber(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.newest = -(-self.kept.newest // 100) * 100
        return await super().open(format_)


class _BeginsAtOneAlways(MemoryPlace):
    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        return await self.open(format_)


class _ForgetsWhereItBegins(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        if not self.kept.events:
            self.kept.newest = self.kept.deleted_through = 0
        return await super().open(format_)

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        log = await super().open(format_)
        self.kept.newest = self.kept.deleted_through = begins_at - 1
        return log


class _StoresWhatItHas(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if not self.closed:
            self.kept.numbers.pop(event.id, None)
        return await super().append(event)


class _TellsIdsApartByTheirBodies(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        held = self.kept.numbers.get(event.id)
        if held is not None and self.kept.events[held].body != event.body:
            return Appended(self.store(event), duplicate=False)
        return await super().append(event)


class _KnowsEarlierBurstsOnly(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if event.id in self.kept.numbers:
            return await super().append(event)
        await asyncio.sleep(0)  # the others of the burst look now
        return Appended(self.store(event), duplicate=False)


class _SaysEveryOneOfABurstIsNew(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        known = event.id in self.kept.numbers
        await asyncio.sleep(0)
        return (await super().append(event))._replace(duplicate=known)


class _RefusesTheRestOfABurstWithAKnownEvent(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if event.id in self.kept.numbers:
            self.refuses = True
            asyncio.get_running_loop().call_soon(setattr, self, "refuses", False)
        if getattr(self, "refuses", False):
            return Appended(self.kept.numbers.get(event.id, self.kept.newest), duplicate=True)
        return await super().append(event)


class _RemembersIdsUntilItIsClosed(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.numbers.clear()
        return await super().open(format_)


class _KnowsTheLastIdsOnly(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if self.kept.numbers.get(event.id, self.kept.newest) <= self.kept.newest - 15:
            del self.kept.numbers[event.id]
        return await super().append(event)


class _LosesTheLastEventAtClosing(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        if self.kept.events:
            number, lost = self.kept.events.popitem()
            del self.kept.numbers[lost.id]
            self.kept.newest = number - 1
        return await super().open(format_)


class _LosesTheSignedBytesAtClosing(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        for number, it in self.kept.events.items():
            self.kept.events[number] = it._replace(raw=b"")
        return await super().open(format_)


class _DropsWhatIsUnderWayAtClosing(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        await asyncio.sleep(0)
        if self.closed:
            return Appended(self.kept.newest + 1, duplicate=False)
        return await super().append(event)


class _TakesEventsWhenClosed(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        self.closed = False
        return await super().append(event)


class _HasANewIdentityEachTime(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.epoch = Kept().epoch
        return await super().open(format_)


class _HasOneIdentityForAll(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.epoch = bytes(EPOCH_BYTES)
        return await super().open(format_)


class _KeepsCheckpointsOfAllLogsTogether(MemoryPlace):
    together: dict[str, bytes] = {}  # noqa: RUF012 (this is what is wrong with it)

    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.checkpoints = self.together
        return await super().open(format_)


class _DoesNotKnowWhatIsDeleted(MemoryJournal):
    @property
    def span(self) -> Span:
        return Span(1, self.kept.newest)


class _CountsWhatItHoldsAtOpening(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        if not self.kept.events:
            self.kept.newest = self.kept.deleted_through = 0
        return await super().open(format_)


class _CountsWhatItHolds(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if not self.kept.events:
            self.kept.newest = self.kept.deleted_through = 0
        return await super().append(event)


class _KnowsIdsForEver(MemoryJournal):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ever: dict[str, int] = {}

    async def append(self, event: NewEvent) -> Appended:
        if event.id in self.ever:
            return Appended(self.ever[event.id], duplicate=True)
        done = await super().append(event)
        self.ever[event.id] = done.sequence
        return done


class _AcknowledgesMoreThanItStores(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        if self.kept.newest == 1_024:
            return Appended(1_025, duplicate=False)
        return await super().append(event)


class _BeginsALogForEachFraming(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        version = format_.framing_of(self.kept.epoch).version
        if self.kept.newest and version != getattr(self, "version", version):
            self.kept = Kept(self.kept.epoch)
        self.version = version
        return await super().open(format_)


BREAKS = (
    broken(
        "begins at one always",
        journal.a_log_may_begin_at_any_number,
        journal.a_log_that_begins_later_and_is_empty_stays_so,
        place=_BeginsAtOneAlways,
    ),
    broken(
        "forgets where it begins",
        journal.a_log_that_begins_later_and_is_empty_stays_so,
        place=_ForgetsWhereItBegins,
    ),
    broken(
        "has a first event of its own",
        journal.a_new_log_is_empty_and_well,
        journal.numbers_begin_at_one_and_have_no_holes,
        reading.an_empty_log_is_read_like_any_other,
        place=_HasAFirstEventOfItsOwn,
    ),
    broken(
        "uses up numbers for known ids",
        journal.new_events_are_stored_beside_known_ones,
        journal.an_id_is_stored_once_whatever_comes_with_it,
        histories.a_log_is_what_its_history_says,
        journal=_UsesUpNumbersForKnownIds,
    ),
    broken(
        "begins at a round number after reopening",
        journal.numbers_go_on_after_reopening,
        place=_BeginsAtARoundNumber,
    ),
    broken(
        "stores what it has",
        journal.an_id_is_stored_once_whatever_comes_with_it,
        journal.an_id_is_stored_once_when_it_comes_twice_at_the_same_time,
        journal.new_events_are_stored_beside_known_ones,
        histories.a_log_is_what_its_history_says,
        journal=_StoresWhatItHas,
    ),
    broken(
        "tells ids apart by their bodies",
        journal.an_id_is_stored_once_whatever_comes_with_it,
        journal=_TellsIdsApartByTheirBodies,
    ),
    broken(
        "knows the ids of earlier bursts only",
        journal.an_id_is_stored_once_when_it_comes_twice_at_the_same_time,
        histories.a_log_is_what_its_history_says,
        journal=_KnowsEarlierBurstsOnly,
    ),
    broken(
        "says that every one of a burst is new",
        journal.an_id_is_stored_once_when_it_comes_twice_at_the_same_time,
        histories.a_log_is_what_its_history_says,
        journal=_SaysEveryOneOfABurstIsNew,
    ),
    broken(
        "refuses the rest of a burst with a known event",
        journal.new_events_are_stored_beside_known_ones,
        journal=_RefusesTheRestOfABurstWithAKnownEvent,
    ),
    broken(
        "remembers ids until it is closed",
        journal.an_id_is_known_after_reopening,
        journal.an_id_is_known_for_as_long_as_its_event_is_held,
        retention.an_id_may_come_again_when_its_event_has_been_deleted,
        framing.an_id_is_known_whatever_the_framing,
        many.the_last_of_a_large_burst_is_there,
        place=_RemembersIdsUntilItIsClosed,
    ),
    broken(
        "knows the last ids only",
        journal.an_id_is_known_for_as_long_as_its_event_is_held,
        journal=_KnowsTheLastIdsOnly,
    ),
    broken(
        "loses the last event at closing",
        journal.numbers_go_on_after_reopening,
        journal.what_was_appended_is_there_after_reopening,
        journal.closing_stores_what_was_asked_for_before,
        place=_LosesTheLastEventAtClosing,
    ),
    broken(
        "loses the signed bytes at closing",
        journal.what_was_appended_is_there_after_reopening,
        place=_LosesTheSignedBytesAtClosing,
    ),
    broken(
        "drops what is under way at closing",
        journal.closing_stores_what_was_asked_for_before,
        journal=_DropsWhatIsUnderWayAtClosing,
    ),
    broken(
        "takes events when it is closed",
        journal.a_closed_log_refuses_events,
        journal=_TakesEventsWhenClosed,
    ),
    broken(
        "has a new identity each time that it is opened",
        journal.a_log_keeps_its_identity,
        histories.a_log_is_what_its_history_says,
        place=_HasANewIdentityEachTime,
    ),
    broken(
        "has one identity for all logs",
        journal.each_log_has_an_identity_of_its_own,
        place=_HasOneIdentityForAll,
    ),
    broken(
        "keeps the checkpoints of all logs together",
        journal.logs_share_nothing,
        place=_KeepsCheckpointsOfAllLogsTogether,
    ),
    broken(
        "does not know what is deleted",
        journal.both_ports_tell_the_same_span,
        retention.numbers_are_never_given_again,
        histories.a_log_is_what_its_history_says,
        journal=_DoesNotKnowWhatIsDeleted,
    ),
    broken(
        "counts what it holds when it is opened",
        journal.a_log_keeps_its_identity,
        retention.numbers_are_never_given_again_after_reopening,
        histories.a_log_is_what_its_history_says,
        place=_CountsWhatItHoldsAtOpening,
    ),
    broken(
        "counts what it holds",
        retention.numbers_are_never_given_again,
        retention.numbers_are_never_given_again_after_reopening,
        journal=_CountsWhatItHolds,
    ),
    broken(
        "knows ids for ever",
        retention.an_id_may_come_again_when_its_event_has_been_deleted,
        journal=_KnowsIdsForEver,
    ),
    broken(
        "acknowledges more than it stores",
        many.the_last_of_a_large_burst_is_there,
        journal=_AcknowledgesMoreThanItStores,
    ),
    broken(
        "begins a log for each framing",
        framing.an_id_is_known_whatever_the_framing,
        framing.another_framing_gives_all_events_another_form,
        place=_BeginsALogForEachFraming,
    ),
)
