"""Threads that read: whatever ends a query, the next one on its connection begins anew."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.reading import NOBODY
from gateway.journal.sqlite.threads import ReadingThreads
from tests.harness.loop import LoopThread


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE numbers (number)")
        connection.executemany("INSERT INTO numbers VALUES (?)", ((it,) for it in range(1_000)))
    return path


def connect(
    path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=factory)


def count(connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("SELECT count(*) FROM numbers").fetchone()
    assert isinstance(found, int)
    return found


def test_a_caller_who_goes_while_a_query_is_left_does_not_break_off_its_end(
    database: Path, loop: LoopThread
) -> None:
    leaving, may_go_on = threading.Event(), threading.Event()
    interrupted: list[bool] = []

    class Connection(sqlite3.Connection):
        def rollback(self) -> None:
            leaving.set()
            may_go_on.wait(10)
            super().rollback()

        def interrupt(self) -> None:
            interrupted.append(True)
            super().interrupt()

    async def go() -> int:
        threads = ReadingThreads("test", 1, lambda: connect(database, Connection))
        task = asyncio.ensure_future(threads.run(count, NOBODY))
        await asyncio.to_thread(leaving.wait, 10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        may_go_on.set()
        found = await threads.run(count, NOBODY)
        await threads.close()
        return found

    assert loop.run(go()) == 1_000
    assert not interrupted


def broken_off(connection: sqlite3.Connection, kept: list[Iterator[object]]) -> None:
    """Be interrupted with a statement half read, which somebody keeps."""
    half_read = connection.execute("SELECT number FROM numbers")
    next(half_read)
    kept.append(half_read)
    connection.interrupt()
    connection.execute("SELECT count(*) FROM numbers")


def test_a_transaction_that_cannot_be_ended_ends_with_its_connection(
    database: Path, loop: LoopThread
) -> None:
    opened: list[sqlite3.Connection] = []
    kept: list[Iterator[object]] = []

    def noted() -> sqlite3.Connection:
        opened.append(connect(database))
        return opened[-1]

    async def go() -> int:
        threads = ReadingThreads("test", 1, noted)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            await threads.run(lambda connection: broken_off(connection, kept), NOBODY)
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            opened[0].execute("SELECT 1")  # what it had half read keeps no old state of the log
        found = await threads.run(count, NOBODY)
        await threads.close()
        return found

    assert loop.run(go()) == 1_000
    assert len(opened) == 2
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[1].execute("SELECT 1")
