"""Indexing of full blocks, a part with each commit: at no moment does a search find less."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.events import NewEvent
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.journal.sqlite.indexing import ROWS_MIN
from gateway.journal.sqlite.postings import BLOCK
from tests.harness.events import FORMAT, choosing, new_event
from tests.harness.loop import LoopThread
from tests.journal.following import followed
from tests.oracle.disk import copy_log

# An event has as many values that no other has, and shares one with every tenth.
OWN = 3
ROWS = BLOCK * OWN


def events(numbers: range) -> list[NewEvent]:
    return [
        new_event(
            id_=f"e{number}",
            call_control_id=f"k{number}",
            call_session_id=f"s{number}",
            conference_id=f"c{number}",
            queue_name=f"q{number % 10}",
        )
        for number in numbers
    ]


async def store(log: EventLog, numbers: range) -> None:
    await asyncio.gather(*map(log.journal.append, events(numbers)))


def rows_of(path: Path, block: int) -> int:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM postings WHERE block = ?"
        (count,) = connection.execute(query, (block,)).fetchone()
    return int(count)


def is_indexed(path: Path, block: int) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM blocks WHERE block = ?"
        (count,) = connection.execute(query, (block,)).fetchone()
    return bool(count)


async def check(log: EventLog, newest: int) -> None:
    assert await followed(log, choosing(queue_name=["q7"]), 0, BLOCK) == [*range(7, newest + 1, 10)]
    for number in (1, BLOCK // 2, BLOCK, newest):
        wanted = choosing(call_control_id=[f"k{number}"], queue_name=[f"q{number % 10}"])
        assert await followed(log, wanted, 0, BLOCK) == [number]


def test_a_full_block_is_indexed_by_the_commits_that_follow_and_searched_meanwhile(
    loop: LoopThread, tmp_path: Path
) -> None:
    path = tmp_path / "events.db"

    async def follow() -> None:
        log = await open_log(path, FORMAT)
        await store(log, range(1, BLOCK))
        assert rows_of(path, 0) == 0
        seen = []
        newest = BLOCK - 1
        while not is_indexed(path, 0):
            newest += 1
            await store(log, range(newest, newest + 1))
            seen.append(rows_of(path, 0))
            await check(log, newest)
        assert seen == sorted(seen)
        assert seen[0] == ROWS_MIN
        assert len(seen) > ROWS // ROWS_MIN
        await log.close()

    loop.run(follow())


def test_blocks_do_not_pile_up_behind_large_commits(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    async def fill() -> None:
        log = await open_log(path, FORMAT)
        step = 3 * BLOCK // 2  # more than a block with each commit
        for first in range(1, 8 * step, step):
            await store(log, range(first, first + step))
        for behind in range(2, 6):
            assert is_indexed(path, log.index.span.newest // BLOCK - behind)
        await log.close()

    loop.run(fill())


def test_what_a_killed_gateway_had_not_indexed_is_indexed_at_the_next_start(
    loop: LoopThread, tmp_path: Path
) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy" / "events.db"

    async def kill() -> None:
        log = await open_log(path, FORMAT)
        await store(log, range(1, BLOCK))
        await store(log, range(BLOCK, BLOCK + 1))
        copy_log(path, copy)
        await log.close()

    async def go_on() -> None:
        assert 0 < rows_of(copy, 0) < ROWS
        assert not is_indexed(copy, 0)
        log = await open_log(copy, FORMAT)
        assert is_indexed(copy, 0)
        await check(log, BLOCK)
        await log.close()

    loop.run(kill())
    loop.run(go_on())


def test_a_commit_that_fails_leaves_the_index_as_it_was(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    async def fail() -> None:
        log = await open_log(path, FORMAT)
        await store(log, range(1, BLOCK))
        await store(log, range(BLOCK, BLOCK + 1))
        before = rows_of(path, 0)
        # The event is held already, so its commit is begun anew without it.
        (again,) = events(range(1, 2))
        (new,) = events(range(BLOCK + 1, BLOCK + 2))
        results = await asyncio.gather(log.journal.append(again), log.journal.append(new))
        assert [it.duplicate for it in results] == [True, False]
        assert before < rows_of(path, 0) <= before + ROWS_MIN
        newest = BLOCK + 1
        while not is_indexed(path, 0):
            newest += 1
            await store(log, range(newest, newest + 1))
        await check(log, newest)
        await log.close()

    loop.run(fail())


@pytest.mark.parametrize("newest", [BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_log_that_is_closed_goes_on_where_it_was(
    loop: LoopThread, tmp_path: Path, newest: int
) -> None:
    path = tmp_path / "events.db"

    async def reopen() -> None:
        log = await open_log(path, FORMAT)
        await store(log, range(1, newest + 1))
        await log.close()
        log = await open_log(path, FORMAT)
        await store(log, range(newest + 1, 2 * BLOCK + 1))
        await check(log, 2 * BLOCK)
        await log.close()

    loop.run(reopen())
