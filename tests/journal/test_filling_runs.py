"""A copy that is being filled: blocks are indexed several at a time, and nothing is found less."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.sqlite import writer
from gateway.journal.sqlite.copy import LogCopy, open_copy
from gateway.journal.sqlite.postings import BLOCK
from tests.harness.events import FORMAT, choosing
from tests.harness.loop import LoopThread
from tests.journal.test_indexing import events, is_indexed, rows_of
from tests.oracle.disk import copy_log

_EPOCH = b"8 bytes!"

# Blocks that are written together here, and events that are taken together.
_TOGETHER, _STEP = 5, BLOCK // 2


def _open(path: Path) -> LogCopy:
    async def forget(through: int) -> None:
        raise AssertionError(through)

    return open_copy(path, FORMAT, _EPOCH, forget)


async def _take(copy: LogCopy, through: int, *, more: bool) -> None:
    """Feed a copy up to a number."""
    for first in range(copy.index.span.newest + 1, through + 1, _STEP):
        last = min(first + _STEP - 1, through)
        assert await copy.take(first, events(range(first, last + 1)), more)


async def _check(copy: LogCopy) -> None:
    newest = copy.index.span.newest
    found, after = [], 0
    while after < newest:
        batch = await copy.index.read(after, choosing(queue_name=["q7"]), BLOCK, choosing())
        found += [it.sequence for it in batch.frames]
        after = batch.through
    assert found == [*range(7, newest + 1, 10)]


def _index_of(path: Path) -> list[list[object]]:
    with closing(sqlite3.connect(path)) as connection:
        return [
            list(connection.execute(f"SELECT * FROM {it} ORDER BY 1, 2"))
            for it in ("postings", "blocks", "key_values")
        ]


def test_blocks_are_written_together_while_more_is_on_its_way_and_at_the_end(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "AT_ONCE", _TOGETHER)
    together, one_by_one = tmp_path / "together.db", tmp_path / "one_by_one.db"

    async def fill() -> None:
        copy = _open(together)
        await _take(copy, (_TOGETHER - 1) * BLOCK, more=True)
        assert rows_of(together, 0) == 0
        await _check(copy)
        await _take(copy, _TOGETHER * BLOCK, more=True)
        assert all(is_indexed(together, it) for it in range(_TOGETHER))
        await _check(copy)
        await _take(copy, (2 * _TOGETHER - 1) * BLOCK, more=True)
        assert not is_indexed(together, _TOGETHER)
        # The end: what has waited is written, however few events come.
        await _take(copy, (2 * _TOGETHER - 1) * BLOCK + 1, more=False)
        assert is_indexed(together, 2 * _TOGETHER - 2)
        await _check(copy)
        await copy.close()

    async def fill_one_by_one() -> None:
        copy = _open(one_by_one)
        await _take(copy, (2 * _TOGETHER - 1) * BLOCK + 1, more=False)
        await copy.close()
        await _open(one_by_one).close()  # what is left of the last blocks is written

    loop.run(fill())
    loop.run(fill_one_by_one())

    assert _index_of(together) == _index_of(one_by_one)


def test_what_a_killed_gateway_had_kept_waiting_is_indexed_at_the_next_start(
    loop: LoopThread, tmp_path: Path
) -> None:
    path, left = tmp_path / "index.db", tmp_path / "left" / "index.db"

    async def kill() -> None:
        copy = _open(path)
        await _take(copy, 2 * BLOCK + 1, more=True)
        copy_log(path, left)
        await copy.close()

    async def go_on() -> None:
        assert rows_of(left, 0) == 0
        copy = _open(left)
        assert all(is_indexed(left, it) for it in range(2))
        await _check(copy)
        await _take(copy, 2 * BLOCK + 2, more=True)
        await copy.close()

    loop.run(kill())
    loop.run(go_on())
