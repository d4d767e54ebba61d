"""Broken homes: what goes and what is kept, in which form, and checkpoints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.journal.errors import OvertakenError
from gateway.journal.events import Entry, Framed
from gateway.journal.format import EventFormat
from gateway.journal.ports import EventLog
from gateway.journal.reading import Asker, Batch
from gateway.journal.retention import Retention
from tests.contract import checkpoints, framing, histories, journal, many, retention, times
from tests.contract.broken import broken
from tests.contract.memory import MemoryCheckpoints, MemoryIndex, MemoryPlace


class _KeepsItASecondLonger(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        return super().expired_through(before_us - 1_000_000, now_us)


class _DeletesWhatIsJustWithin(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        return super().expired_through(before_us + 1, now_us)


class _DeletesUpToTheLastOldOne(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        old = [n for n, it in self.kept.events.items() if it.received_at_us < before_us]
        return max(old, default=self.kept.deleted_through)


class _StopsAtTheFuture(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        return super().expired_through(before_us, 2**62)


class _DeletesTheFuture(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        through = self.kept.deleted_through
        for sequence, event in self.kept.events.items():
            if before_us <= event.received_at_us <= now_us:
                break
            through = sequence
        return through


class _DeletesTheFutureAtTheEndOfAStep(MemoryIndex):
    def expired_through(self, before_us: int, now_us: int) -> int:
        through = super().expired_through(before_us, now_us)
        ends_at = self.kept.deleted_through + 1_000
        last = self.kept.events.get(ends_at)
        if last is not None and last.received_at_us > now_us:
            return max(through, ends_at)
        return through


class _RemembersWhatItDeletedLast(MemoryIndex):
    def delete(self, through: int, now_us: int) -> int:
        if through > self.kept.deleted_through:
            self.kept.deleted_received_at_us = None
        return super().delete(through, now_us)


class _IgnoresTheSize(MemoryIndex):
    async def prune(self, retention: Retention, now: float) -> int:
        return await super().prune(replace(retention, size_bytes=2**60), now)


class _DeletesTwiceAsMuch(MemoryIndex):
    async def prune(self, retention: Retention, now: float) -> int:
        return await super().prune(replace(retention, size_bytes=retention.size_bytes // 2), now)


class _KeepsTheSignedBytesOfWhatIsDeleted(MemoryIndex):
    def delete(self, through: int, now_us: int) -> int:
        self.gone = dict(self.kept.events)
        return super().delete(through, now_us)

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        found = await super().raw(sequences, asker)
        gone = {it: self.gone[it].raw for it in found if it in getattr(self, "gone", {})}
        return found | gone


class _Clamps(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        return await super().read(max(after, self.kept.deleted_through), *arguments)


class _ClampsWhatWouldNotMatch(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        wanted = arguments[0]
        if wanted.limits:
            after = max(after, self.kept.deleted_through)
        return await super().read(after, *arguments)


class _SaysZeroWhenNothingIsLeft(MemoryIndex):
    async def read(self, after: int, *arguments: Any) -> Batch:
        try:
            return await super().read(after, *arguments)
        except OvertakenError:
            raise OvertakenError(min(self.kept.events, default=0)) from None


class _BelievesEveryTime(MemoryIndex):
    def delete(self, through: int, now_us: int) -> int:
        return super().delete(through, 2**62)


class _ForgetsWhatItDeletedAtClosing(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.deleted_received_at_us = None
        return await super().open(format_)


class _MiscountsWhatItDeletes(MemoryIndex):
    async def prune(self, retention: Retention, now: float) -> int:
        return min(await super().prune(retention, now), 1)


class _GivesBodies(MemoryIndex):
    def entry(self, sequence: int) -> Entry:
        body = self.kept.events[sequence].body
        return super().entry(sequence)._replace(framed=Framed(sequence, body))


class _KeepsTheFirstFraming(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.framing_of = getattr(self, "framing_of", format_.framing_of)
        return await super().open(replace(format_, framing_of=self.framing_of))


class _KeepsOldFrames(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        log = await super().open(format_)
        index = log.index
        assert isinstance(index, _HasFrames)
        index.frames = self.frames = getattr(self, "frames", {})
        return log


class _HasFrames(MemoryIndex):
    frames: dict[int, Entry]

    def arrived(self, sequence: int) -> None:
        self.entry(sequence)
        super().arrived(sequence)

    def entry(self, sequence: int) -> Entry:
        return self.frames.setdefault(sequence, super().entry(sequence))


class _FramesAThousandAnew(_KeepsOldFrames):
    async def open(self, format_: EventFormat) -> EventLog:
        log = await super().open(format_)
        for sequence in list(self.frames)[:1_000]:
            del self.frames[sequence]
        return log


class _GivesAnyNamesValue(MemoryCheckpoints):
    async def get(self, name: str) -> bytes | None:
        held = reversed(self.kept.checkpoints.items())
        return next((value for key, value in held if name in key), None)


class _ComparesNamesWithoutCase(MemoryCheckpoints):
    async def get(self, name: str) -> bytes | None:
        return await super().get(name.lower())

    async def set(self, name: str, value: bytes) -> None:
        await super().set(name.lower(), value)


class _KeepsTheFirstValue(MemoryCheckpoints):
    async def set(self, name: str, value: bytes) -> None:
        self.kept.checkpoints.setdefault(name, value)


class _TakesEmptyForNone(MemoryCheckpoints):
    async def get(self, name: str) -> bytes | None:
        return await super().get(name) or None


class _TakesValuesForText(MemoryCheckpoints):
    async def set(self, name: str, value: bytes) -> None:
        await super().set(name, value.decode(errors="replace").encode())


class _KeepsAHundredNames(MemoryCheckpoints):
    async def set(self, name: str, value: bytes) -> None:
        await super().set(name, value)
        if len(self.kept.checkpoints) > 100:
            del self.kept.checkpoints[next(iter(self.kept.checkpoints))]


class _ForgetsCheckpointsAtClosing(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        self.kept.checkpoints = {}
        return await super().open(format_)


class _DeletesCheckpointsWithTheRest(MemoryIndex):
    async def prune(self, retention: Retention, now: float) -> int:
        deleted = await super().prune(retention, now)
        if not self.kept.events:
            self.kept.checkpoints.clear()
        return deleted


BREAKS = (
    broken(
        "keeps everything a second longer",
        retention.what_is_too_old_is_deleted,
        retention.what_goes_by_age_is_what_the_rule_says,
        index=_KeepsItASecondLonger,
    ),
    broken(
        "deletes what is just within the retention",
        retention.what_is_within_the_retention_is_kept,
        retention.what_goes_by_age_is_what_the_rule_says,
        index=_DeletesWhatIsJustWithin,
    ),
    broken(
        "deletes up to the last old one",
        retention.only_the_beginning_is_deleted_where_the_clock_was_set_back,
        retention.what_goes_by_age_is_what_the_rule_says,
        index=_DeletesUpToTheLastOldOne,
    ),
    broken(
        "stops at what is of the future",
        retention.what_is_of_the_future_goes_with_what_follows_it,
        retention.what_goes_by_age_is_what_the_rule_says,
        index=_StopsAtTheFuture,
    ),
    broken(
        "deletes what is of the future",
        retention.what_is_of_the_future_is_kept_while_nothing_old_follows_it,
        retention.what_goes_by_age_is_what_the_rule_says,
        index=_DeletesTheFuture,
    ),
    broken(
        "deletes what is of the future at the end of a step",
        many.many_events_go_by_the_same_rule_as_few,
        index=_DeletesTheFutureAtTheEndOfAStep,
    ),
    broken(
        "remembers of the deleted ones those that went last",
        times.when_the_newest_deleted_event_was_received_is_remembered,
        index=_RemembersWhatItDeletedLast,
    ),
    broken(
        "ignores the size",
        retention.the_oldest_go_while_the_log_is_too_large,
        index=_IgnoresTheSize,
    ),
    broken(
        "deletes twice as much for its size",
        retention.the_oldest_go_while_the_log_is_too_large,
        index=_DeletesTwiceAsMuch,
    ),
    broken(
        "miscounts what it deletes",
        retention.what_is_too_old_is_deleted,
        checkpoints.retention_leaves_values_alone,
        index=_MiscountsWhatItDeletes,
    ),
    broken(
        "keeps the signed bytes of what is deleted",
        retention.what_has_been_deleted_is_found_by_nothing,
        index=_KeepsTheSignedBytesOfWhatIsDeleted,
    ),
    broken(
        "clamps instead of saying what was overtaken",
        retention.who_has_been_overtaken_is_told_so,
        retention.who_has_been_overtaken_by_all_is_told_where_it_goes_on,
        retention.who_reads_while_events_are_deleted_misses_none_in_silence,
        index=_Clamps,
    ),
    broken(
        "clamps what may not have matched",
        retention.who_has_been_overtaken_is_told_so,
        index=_ClampsWhatWouldNotMatch,
    ),
    broken(
        "says zero when nothing is left",
        retention.who_has_been_overtaken_by_all_is_told_where_it_goes_on,
        index=_SaysZeroWhenNothingIsLeft,
    ),
    broken(
        "believes every time that it deletes",
        times.when_the_newest_deleted_event_was_received_is_remembered,
        index=_BelievesEveryTime,
    ),
    broken(
        "forgets at closing what it has deleted",
        times.when_the_newest_deleted_event_was_received_is_remembered,
        place=_ForgetsWhatItDeletedAtClosing,
    ),
    broken(
        "gives bodies instead of frames",
        framing.readers_get_what_the_framing_makes,
        journal.what_was_appended_is_there_after_reopening,
        index=_GivesBodies,
    ),
    broken(
        "keeps the first framing",
        framing.another_framing_gives_all_events_another_form,
        framing.what_comes_after_another_framing_has_its_form,
        place=_KeepsTheFirstFraming,
    ),
    broken(
        "keeps old frames",
        framing.another_framing_gives_all_events_another_form,
        framing.what_comes_after_another_framing_has_its_form,
        place=_KeepsOldFrames,
        index=_HasFrames,
    ),
    broken(
        "frames a thousand events anew and no more",
        many.many_events_take_other_forms_and_keys,
        place=_FramesAThousandAnew,
        index=_HasFrames,
    ),
    broken(
        "gives a name the value of another",
        checkpoints.a_name_without_a_value_has_none,
        checkpoints.many_names_keep_their_values_apart,
        checkpoints=_GivesAnyNamesValue,
    ),
    broken(
        "compares names without case",
        checkpoints.a_name_without_a_value_has_none,
        checkpoints.many_names_keep_their_values_apart,
        checkpoints=_ComparesNamesWithoutCase,
    ),
    broken(
        "keeps the first value",
        checkpoints.the_last_value_holds,
        checkpoints.values_outlive_the_process,
        checkpoints=_KeepsTheFirstValue,
    ),
    broken(
        "takes an empty value for none",
        checkpoints.the_last_value_holds,
        checkpoints.values_are_any_bytes,
        checkpoints=_TakesEmptyForNone,
    ),
    broken(
        "takes values for text",
        checkpoints.values_are_any_bytes,
        checkpoints=_TakesValuesForText,
    ),
    broken(
        "keeps a hundred names",
        checkpoints.many_names_keep_their_values_apart,
        checkpoints=_KeepsAHundredNames,
    ),
    broken(
        "forgets checkpoints at closing",
        checkpoints.values_outlive_the_process,
        checkpoints.values_are_any_bytes,
        histories.a_log_is_what_its_history_says,
        place=_ForgetsCheckpointsAtClosing,
    ),
    broken(
        "deletes checkpoints with the rest",
        checkpoints.retention_leaves_values_alone,
        index=_DeletesCheckpointsWithTheRest,
    ),
)
