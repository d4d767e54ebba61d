"""Broken indexes: what events are found by, who may see them, and who is told of them."""

from collections.abc import Callable
from typing import Any

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, Keys, NewEvent
from gateway.journal.filter import EVERYTHING, Filter, Limit
from gateway.journal.format import EventFormat
from gateway.journal.ports import EventLog, Listener
from gateway.journal.reading import Batch, Page, StoredEvent
from tests.contract import framing, histories, keys, listening, many
from tests.contract.broken import broken
from tests.contract.memory import MemoryIndex, MemoryJournal, MemoryPlace


def _changed(wanted: Filter, change: Callable[[Limit], Limit]) -> Filter:
    return Filter(tuple(map(change, wanted.limits)))


class _MixesUpTwoKeys(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        return super().matches(wanted, (keys[1], keys[0], *keys[2:]))


class _TakesOneOfSeveralValues(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        def first(limit: Limit) -> Limit:
            return limit._replace(values=frozenset(sorted(limit.values)[:1]))

        return super().matches(_changed(wanted, first), keys)


class _TakesPrefixesForValues(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        def exact(limit: Limit) -> Limit:
            return Limit(limit.key, limit.values | set(limit.prefixes))

        return super().matches(_changed(wanted, exact), keys)


class _IsContentWithOneLimit(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        return not wanted.limits or any(it.allows(keys[it.key]) for it in wanted.limits)


class _HasRoomForAFewHundredPrefixes(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        if any(len(it.prefixes) > 900 for it in wanted.limits):
            raise LogUnavailableError("too many prefixes")
        return super().matches(wanted, keys)


class _ComparesWithoutCase(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        def lower(limit: Limit) -> Limit:
            values = frozenset(it.lower() for it in limit.values)
            return Limit(limit.key, values, tuple(it.lower() for it in limit.prefixes))

        return super().matches(_changed(wanted, lower), tuple(it.lower() for it in keys))


class _ComparesUpToANul(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        def cut(limit: Limit) -> Limit:
            return limit._replace(values=frozenset(it.split("\0")[0] for it in limit.values))

        return super().matches(_changed(wanted, cut), tuple(it.split("\0")[0] for it in keys))


class _FindsWhatHasNoSuchKey(MemoryIndex):
    def matches(self, wanted: Filter, keys: Keys) -> bool:
        return all(not keys[it.key] or it.allows(keys[it.key]) for it in wanted.limits)


class _ReadsWhatIsNotVisible(MemoryIndex):
    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        return await super().read(after, wanted, limit, EVERYTHING)


class _SearchesWhatIsNotVisible(MemoryIndex):
    async def page(
        self, wanted: Filter, bounds: Any, stretch: Any, limit: int, visible: Filter, **how: Any
    ) -> Page:
        return await super().page(wanted, bounds, stretch, limit, EVERYTHING, **how)


class _FindsWhatIsNotVisible(MemoryIndex):
    async def find(self, event_id: str, visible: Filter, *asker: Any) -> StoredEvent | None:
        return await super().find(event_id, EVERYTHING)


class _WantsWhatIsVisible(MemoryIndex):
    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        return await super().read(
            after, wanted if visible.is_everything else visible, limit, EVERYTHING
        )


class _LosesTheLastOfABlock(MemoryIndex):
    def allows(self, sequence: int, wanted: Filter, *bounds: Any) -> bool:
        if wanted.limits and sequence % 1_024 == 0:
            return False
        return super().allows(sequence, wanted, *bounds)


class _LosesTheRestOfADeletedBlock(MemoryIndex):
    def allows(self, sequence: int, wanted: Filter, *bounds: Any) -> bool:
        block = (sequence - 1) // 1_024
        if wanted.limits and block * 1_024 < self.kept.deleted_through:
            return False
        return super().allows(sequence, wanted, *bounds)


class _TellsOneLate(MemoryIndex):
    def arrived(self, sequence: int) -> None:
        if sequence - 1 in self.kept.events:
            super().arrived(sequence - 1)


class _TellsTwice(MemoryIndex):
    def arrived(self, sequence: int) -> None:
        super().arrived(sequence)
        if sequence % 100 == 0:
            super().arrived(sequence)


class _TellsOutOfOrder(MemoryIndex):
    def arrived(self, sequence: int) -> None:
        if sequence % 50 == 0:
            super().arrived(sequence)
            super().arrived(sequence - 1)
        elif sequence % 50 != 49:
            super().arrived(sequence)


class _TellsOfWhatWasKnown(MemoryJournal):
    async def append(self, event: NewEvent) -> Appended:
        done = await super().append(event)
        if done.duplicate:
            self.arrived(done.sequence)
        return done


class _TellsBeforeItCanBeRead(MemoryJournal):
    def store(self, event: NewEvent) -> int:
        number = self.kept.newest + 1
        self.kept.events[number] = event
        self.arrived(number)
        del self.kept.events[number]
        arrived, self.arrived = self.arrived, lambda _: None
        super().store(event)
        self.arrived = arrived
        return number


class _HasOneListener(MemoryIndex):
    def listen(self, listener: Listener) -> None:
        self.listeners = [listener]


class _TellsOfWhatWasBefore(MemoryIndex):
    def listen(self, listener: Listener) -> None:
        super().listen(listener)
        if self.kept.events:
            listener([self.entry(it) for it in self.kept.events])


class _DoesNotFillNewKeys(MemoryIndex):
    def keys_of(self, sequence: int) -> Keys:
        stored = self.kept.events[sequence].keys
        return stored + ("",) * (len(self.keys) - len(stored))


class _TakesPrefixesAsItDidAtFirst(MemoryPlace):
    async def open(self, format_: EventFormat) -> EventLog:
        log = await super().open(format_)
        if not hasattr(self, "prefixed"):
            self.prefixed = [it.name for it in format_.keys if it.takes_prefixes]
        index = log.index
        assert isinstance(index, _KnowsFewPrefixes)
        index.prefixed = self.prefixed
        return log


class _KnowsFewPrefixes(MemoryIndex):
    prefixed: list[str]

    def matches(self, wanted: Filter, keys: Keys) -> bool:
        def known(limit: Limit) -> Limit:
            prefixes = limit.prefixes if self.keys[limit.key].name in self.prefixed else ()
            return limit._replace(prefixes=prefixes)

        return super().matches(_changed(wanted, known), keys)


BREAKS = (
    broken(
        "mixes up two keys",
        keys.every_key_finds_its_events,
        keys.every_filter_finds_what_it_matches,
        index=_MixesUpTwoKeys,
    ),
    broken(
        "takes one of several values",
        keys.one_of_several_values_will_do,
        index=_TakesOneOfSeveralValues,
    ),
    broken(
        "takes prefixes for values",
        keys.prefixes_find_what_begins_like_them,
        histories.a_log_is_what_its_history_says,
        index=_TakesPrefixesForValues,
    ),
    broken(
        "is content with one limit",
        keys.all_limits_must_hold,
        keys.every_filter_finds_what_it_matches,
        many.rare_and_common_events_of_many_are_found,
        index=_IsContentWithOneLimit,
    ),
    broken(
        "has room for a few hundred prefixes",
        keys.a_filter_may_have_as_many_values_as_are_allowed,
        index=_HasRoomForAFewHundredPrefixes,
    ),
    broken(
        "compares without case",
        keys.values_are_compared_to_the_letter,
        index=_ComparesWithoutCase,
    ),
    broken(
        "compares up to a NUL",
        keys.values_are_compared_to_the_letter,
        index=_ComparesUpToANul,
    ),
    broken(
        "finds what has no such key",
        keys.what_has_no_such_key_is_not_found_by_it,
        keys.every_filter_finds_what_it_matches,
        index=_FindsWhatHasNoSuchKey,
    ),
    broken(
        "reads what is not visible",
        keys.reading_gives_only_what_is_visible,
        keys.every_filter_finds_what_it_matches,
        histories.a_log_is_what_its_history_says,
        index=_ReadsWhatIsNotVisible,
    ),
    broken(
        "wants what is visible",
        keys.reading_gives_only_what_is_visible,
        keys.every_filter_finds_what_it_matches,
        index=_WantsWhatIsVisible,
    ),
    broken(
        "searches what is not visible",
        keys.a_search_gives_only_what_is_visible,
        keys.every_filter_finds_what_it_matches,
        many.rare_and_common_events_of_many_are_found,
        index=_SearchesWhatIsNotVisible,
    ),
    broken(
        "finds what is not visible",
        keys.an_event_that_is_not_visible_is_not_found,
        keys.every_filter_finds_what_it_matches,
        index=_FindsWhatIsNotVisible,
    ),
    broken(
        "loses the last of a block",
        many.rare_and_common_events_of_many_are_found,
        many.rare_and_common_events_of_many_are_found_after_pruning,
        index=_LosesTheLastOfABlock,
    ),
    broken(
        "loses the rest of a block that was pruned",
        many.rare_and_common_events_of_many_are_found_after_pruning,
        index=_LosesTheRestOfADeletedBlock,
    ),
    broken(
        "tells of an event when the next one comes",
        listening.a_listener_is_told_before_append_returns,
        listening.a_listener_is_told_everything_once_and_in_order,
        many.the_last_of_a_large_burst_is_there,
        index=_TellsOneLate,
    ),
    broken(
        "tells twice",
        listening.a_listener_is_told_everything_once_and_in_order,
        many.the_last_of_a_large_burst_is_there,
        index=_TellsTwice,
    ),
    broken(
        "tells out of order",
        listening.a_listener_is_told_everything_once_and_in_order,
        many.the_last_of_a_large_burst_is_there,
        index=_TellsOutOfOrder,
    ),
    broken(
        "tells of what was known",
        listening.a_listener_is_not_told_of_what_was_known,
        histories.a_log_is_what_its_history_says,
        journal=_TellsOfWhatWasKnown,
    ),
    broken(
        "tells before it can be read",
        listening.what_a_listener_is_told_of_can_be_read,
        journal=_TellsBeforeItCanBeRead,
    ),
    broken(
        "has one listener",
        listening.each_listener_is_told_what_comes_after_it,
        index=_HasOneListener,
    ),
    broken(
        "tells of what was before",
        listening.each_listener_is_told_what_comes_after_it,
        listening.a_listener_is_not_told_of_what_was_known,
        histories.a_log_is_what_its_history_says,
        index=_TellsOfWhatWasBefore,
    ),
    broken(
        "does not fill new keys",
        framing.events_are_found_by_keys_declared_later,
        framing.keys_may_be_declared_in_another_order,
        many.many_events_take_other_forms_and_keys,
        index=_DoesNotFillNewKeys,
    ),
    broken(
        "takes prefixes as it did at first",
        framing.a_key_may_begin_to_take_prefixes,
        place=_TakesPrefixesAsItDidAtFirst,
        index=_KnowsFewPrefixes,
    ),
)
