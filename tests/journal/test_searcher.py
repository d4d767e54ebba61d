"""A search in time: what becomes of one that cannot begin."""

import asyncio
from typing import Any, cast

import pytest

from gateway.feed.search import SEARCH_S, Query, Searcher
from gateway.journal.errors import LogBusyError
from gateway.journal.filter import EVERYTHING
from gateway.journal.ports import Index
from gateway.journal.reading import NOBODY, TimeBounds
from tests.harness.virtual_time import run_in_virtual_time, virtual_now


class BusyIndex:
    """Never comes to a search."""

    async def stretch(self, *_: Any) -> None:
        await asyncio.Event().wait()


def test_a_search_that_does_not_begin_in_time_is_told_so() -> None:
    async def run() -> float:
        searcher = Searcher(cast("Index", BusyIndex()), virtual_now)
        query = Query(EVERYTHING, EVERYTHING, TimeBounds(), 10, False, None, NOBODY)
        began = virtual_now()
        with pytest.raises(LogBusyError, match="did not start"):
            await searcher.search(query, 60.0)
        return virtual_now() - began

    assert run_in_virtual_time(run()) == pytest.approx(SEARCH_S)
