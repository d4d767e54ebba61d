"""Broken indexes: what is searched for in steps, and by time."""

from typing import Any

from gateway.journal.errors import OvertakenError
from gateway.journal.filter import Filter
from gateway.journal.reading import NOBODY, Asker, Measures, Page, Stretch, TimeBounds
from tests.contract import histories, many, paging, times
from tests.contract.broken import broken
from tests.contract.memory import MemoryIndex


class _GoesTheWrongWay(MemoryIndex):
    async def page(self, *arguments: Any, newest_first: bool, asker: Asker = NOBODY) -> Page:
        return await super().page(*arguments, newest_first=not newest_first, asker=asker)


class _NeverEnds(MemoryIndex):
    async def page(self, *arguments: Any, newest_first: bool, asker: Asker = NOBODY) -> Page:
        page = await super().page(*arguments, newest_first=newest_first, asker=asker)
        rest = page.rest
        return Page(page.frames, Stretch(rest.after - 1, rest.through) if rest.is_empty else rest)


class _GivesTheLastOfAPageAgain(MemoryIndex):
    async def page(self, *arguments: Any, newest_first: bool, asker: Asker = NOBODY) -> Page:
        page = await super().page(*arguments, newest_first=newest_first, asker=asker)
        after, through = page.rest.after, page.rest.through
        if page.rest.is_empty or len(page.frames) < 2:
            return page
        rest = Stretch(after, through + 1) if newest_first else Stretch(after - 1, through)
        return Page(page.frames, rest)


class _SkipsOneBetweenPages(MemoryIndex):
    async def page(self, *arguments: Any, newest_first: bool, asker: Asker = NOBODY) -> Page:
        page = await super().page(*arguments, newest_first=newest_first, asker=asker)
        after, through = page.rest.after, page.rest.through
        rest = Stretch(after, through - 1) if newest_first else Stretch(after + 1, through)
        return Page(page.frames, rest)


class _EndsWhereAStepHasFoundNothing(MemoryIndex):
    async def page(self, *arguments: Any, newest_first: bool, asker: Asker = NOBODY) -> Page:
        page = await super().page(*arguments, newest_first=newest_first, asker=asker)
        return page if page.frames else Page((), Stretch(page.rest.after, page.rest.after))


class _SearchesUpToTheNewest(MemoryIndex):
    async def page(
        self, wanted: Filter, bounds: TimeBounds, stretch: Stretch, *arguments: Any, **how: Any
    ) -> Page:
        whole = Stretch(stretch.after, self.kept.newest)
        return await super().page(wanted, bounds, whole, *arguments, **how)


class _WaitsForTheEndOfTheStretch(MemoryIndex):
    async def page(
        self, wanted: Filter, bounds: TimeBounds, stretch: Stretch, *arguments: Any, **how: Any
    ) -> Page:
        page = await super().page(wanted, bounds, stretch, *arguments, **how)
        if stretch.through > self.kept.newest:
            return Page(page.frames, Stretch(page.rest.after, stretch.through))
        return page


class _IsOvertakenInASearch(MemoryIndex):
    async def page(
        self, wanted: Filter, bounds: TimeBounds, stretch: Stretch, *arguments: Any, **how: Any
    ) -> Page:
        if stretch.after < self.kept.deleted_through:
            raise OvertakenError(self.span.oldest)
        return await super().page(wanted, bounds, stretch, *arguments, **how)


class _TakesTheLaterBoundIn(MemoryIndex):
    def allows(self, sequence: int, wanted: Filter, bounds: TimeBounds | None = None) -> bool:
        if bounds is not None:
            bounds = TimeBounds(bounds.since_us, bounds.until_us + 1)
        return super().allows(sequence, wanted, bounds)


class _BelievesThatTimesRise(MemoryIndex):
    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        first = await self.first_received_since(bounds.since_us)
        end = await self.first_received_since(bounds.until_us)
        return Stretch(first - 1, max(end - 1, first - 1))


class _SearchesEverything(MemoryIndex):
    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        return Stretch(self.kept.deleted_through, self.kept.newest)


class _BeginsAfterTheMoment(MemoryIndex):
    async def first_received_since(self, moment_us: int) -> int:
        return await super().first_received_since(moment_us + 1)


class _TakesTheFirstInTime(MemoryIndex):
    async def first_received_since(self, moment_us: int) -> int:
        times_us = {it.received_at_us: number for number, it in self.kept.events.items()}
        since = [it for it in times_us if it >= moment_us]
        return times_us[min(since)] if since else self.kept.newest + 1


class _TurnsTimesRound(MemoryIndex):
    async def measures(self, asker: Asker = NOBODY) -> Measures:
        span, size, oldest, newest, deleted = _values(await super().measures())
        return Measures(span, size, newest, oldest, deleted)


class _CountsBodiesOnly(MemoryIndex):
    async def measures(self, asker: Asker = NOBODY) -> Measures:
        span, _, oldest, newest, deleted = _values(await super().measures())
        size = sum(len(it.body) for it in self.kept.events.values())
        return Measures(span, size, oldest, newest, deleted)


def _values(measures: Measures) -> tuple[Any, ...]:
    return tuple(getattr(measures, it) for it in Measures.__slots__)


BREAKS = (
    broken(
        "goes the wrong way",
        paging.a_page_begins_where_the_stretch_does,
        paging.a_page_of_the_newest_begins_at_the_end,
        paging.pages_together_have_every_event_once,
        index=_GoesTheWrongWay,
    ),
    broken(
        "never ends",
        paging.a_search_ends_when_all_has_been_looked_at,
        paging.pages_together_have_every_event_once,
        index=_NeverEnds,
    ),
    broken(
        "gives the last of a page again",
        paging.pages_together_have_every_event_once,
        index=_GivesTheLastOfAPageAgain,
    ),
    broken(
        "skips one between pages",
        paging.pages_together_have_every_event_once,
        histories.a_log_is_what_its_history_says,
        many.rare_and_common_events_of_many_are_found,
        index=_SkipsOneBetweenPages,
    ),
    broken(
        "ends where a step has found nothing",
        many.a_search_goes_on_where_few_of_some_match,
        many.rare_and_common_events_of_many_are_found,
        index=_EndsWhereAStepHasFoundNothing,
    ),
    broken(
        "searches up to the newest",
        paging.what_comes_later_is_not_of_the_stretch,
        index=_SearchesUpToTheNewest,
    ),
    broken(
        "waits for the end of the stretch",
        paging.a_stretch_may_be_longer_than_the_log,
        index=_WaitsForTheEndOfTheStretch,
    ),
    broken(
        "is overtaken in a search",
        paging.a_search_goes_on_over_what_has_been_deleted,
        index=_IsOvertakenInASearch,
    ),
    broken(
        "takes the later bound in",
        paging.bounds_of_time_hold_where_the_clock_was_set_back,
        paging.a_stretch_has_all_of_a_time_and_no_more,
        index=_TakesTheLaterBoundIn,
    ),
    broken(
        "believes that times rise",
        paging.bounds_of_time_hold_where_the_clock_was_set_back,
        paging.a_stretch_has_all_of_a_time_and_no_more,
        index=_BelievesThatTimesRise,
    ),
    broken(
        "searches everything",
        paging.a_stretch_has_all_of_a_time_and_no_more,
        index=_SearchesEverything,
    ),
    broken(
        "begins after the moment",
        times.the_first_since_a_moment_is_found,
        times.who_begins_at_a_moment_misses_nothing_since,
        index=_BeginsAfterTheMoment,
    ),
    broken(
        "takes the first in time for the first in the log",
        times.the_first_since_a_moment_is_that_of_the_log,
        times.who_begins_at_a_moment_misses_nothing_since,
        histories.a_log_is_what_its_history_says,
        index=_TakesTheFirstInTime,
    ),
    broken("turns times round", times.the_measures_say_what_is_held, index=_TurnsTimesRound),
    broken(
        "counts bodies only",
        times.the_size_is_about_that_of_the_events,
        index=_CountsBodiesOnly,
    ),
)
