"""Threads that read the log, each with a connection of its own."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

from gateway.journal.errors import LogUnavailableError
from gateway.journal.reading import Asker
from gateway.journal.sqlite.turns import Turns

R = TypeVar("R")
Query: TypeAlias = Callable[[sqlite3.Connection], R]


class _Stop:
    """Ends a query from outside, while it runs and not a moment later.

    The connection is another query's at once when this one has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._asked = False

    def begin(self, connection: sqlite3.Connection) -> bool:
        """Say that the query runs on this connection from now on; false if it need not any more."""
        with self._lock:
            self._connection = connection
            return not self._asked

    def end(self) -> None:
        """Say that it has ended."""
        with self._lock:
            self._connection = None

    def ask(self) -> None:
        """Have it end soon: the statement that runs is broken off."""
        with self._lock:
            self._asked = True
            if self._connection is not None:
                self._connection.interrupt()


class ReadingThreads:
    """Some threads for one kind of reading, and a bounded queue in front of them.

    `connect` opens a connection; it is called in the thread that is to use it. So is `begin`, if
    given, before anything else.
    """

    def __init__(
        self,
        name: str,
        count: int,
        connect: Callable[[], sqlite3.Connection],
        waiting_max: int | None = None,
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._threads = ThreadPoolExecutor(count, f"event-log-{name}", initializer=begin)
        self._turns = Turns(count, waiting_max)
        self._connect = connect
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def run(self, query: "Query[R]", asker: Asker) -> R:
        """Return what a query returns, when it is its asker's turn.

        A caller that has gone leaves the queue, and what already runs for it is broken off. Raises
        LogBusyError, LogUnavailableError, and what the query raises.
        """
        await self._turns.take(asker)
        stop = _Stop()
        loop = asyncio.get_running_loop()
        # Not the executor's own future: that is cancelled with the caller, and the turn ends only
        # when the thread has really ended.
        done: asyncio.Future[R] = loop.create_future()
        try:
            loop.run_in_executor(self._threads, self._work, query, stop, loop, done)
        except RuntimeError as error:  # the threads have been shut down
            self._turns.give_back()
            raise LogUnavailableError("the event log is closed") from error
        try:
            return await done
        except asyncio.CancelledError:
            stop.ask()
            raise

    async def close(self) -> None:
        """End the threads when nobody reads any more, and close their connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()

    def _work(
        self,
        query: "Query[R]",
        stop: _Stop,
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[R]",
    ) -> None:
        tell: Callable[[], None]
        try:
            tell = partial(done.set_result, self._query(query, stop))
        except Exception as error:
            tell = partial(done.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(self._ended, done, tell)

    def _ended(self, done: "asyncio.Future[Any]", tell: Callable[[], None]) -> None:
        self._turns.give_back()
        if not done.done():  # the caller may have gone
            tell()

    def _query(self, query: "Query[R]", stop: _Stop) -> R:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            self._connections.append(connection)
        if not stop.begin(connection):
            raise LogUnavailableError("the caller has gone")
        try:
            # One snapshot for all statements of a query.
            connection.execute("BEGIN")
            return query(connection)
        finally:
            # First: a rollback that is broken off leaves its transaction to all later queries.
            stop.end()
            self._leave(connection)

    def _leave(self, connection: sqlite3.Connection) -> None:
        """End a query's transaction, if need be with its connection.

        An interrupt holds for as long as a statement of the query is half read (sqlite.org/c3ref/
        interrupt.html), for the rollback, too.
        """
        try:
            connection.rollback()
        except sqlite3.Error:
            self._local.connection = None
            self._connections.remove(connection)
            connection.close()
