"""A copy: the index of a log whose journal is elsewhere, fed with events that have numbers.

It may be thrown away at any time, and is built anew from that journal.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from gateway.journal.errors import LogOpenError
from gateway.journal.events import NewEvent
from gateway.journal.format import EventFormat
from gateway.journal.sqlite.emptying import epoch_of
from gateway.journal.sqlite.faults import is_damage
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.log import Forget, SqliteIndex
from gateway.journal.sqlite.opening import OpenFiles, open_files
from gateway.journal.sqlite.reader import LogReader
from gateway.journal.sqlite.schema import Copied
from gateway.journal.sqlite.writer import GroupWriter

_log = logging.getLogger(__name__)


class LogCopy:
    """An open copy: an index, and what feeds it. Use `open_copy`."""

    def __init__(
        self, opened: OpenFiles, writer: GroupWriter, reader: LogReader, index: SqliteIndex
    ) -> None:
        self._opened = opened
        self._writer = writer
        self._reader = reader
        self.index = index
        writer.start()

    @property
    def problem(self) -> str | None:
        """Why it could not be written the last time that it was tried; None if it could."""
        return self._writer.problem

    async def take(self, first: int, events: Sequence[NewEvent], more: bool = False) -> bool:
        """Store events with the numbers from `first` on, which is the next one.

        `more` says that many follow. False if an id is held under another number: none is stored
        then. Raises LogUnavailableError.
        """
        return await self._writer.take(first, events, more)

    async def begin_after(self, number: int) -> None:
        """Drop what has numbers up to `number`, and go on after it. Raises LogUnavailableError."""
        await self._writer.begin_after(number)

    async def close(self) -> None:
        """Store what has been taken, and close the file."""
        # The last connection to go folds the write-ahead log into the file: the writer does.
        await self._reader.close()
        await self._writer.stop()
        self._opened.close()


def open_copy(
    path: Path,
    format_: EventFormat,
    epoch: bytes,
    forget: Forget,
    *,
    anew: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
) -> LogCopy:
    """Open the copy of the log with an epoch, making it first where there is none.

    A copy of another log is emptied, as is a damaged one, and any that is to be made `anew`; no
    file that is not a copy ever is. What is pruned from it is deleted by `forget` at the log, too.
    It is used in `loop`, by default the one that runs. Raises LogOpenError.
    """
    loop = loop or asyncio.get_running_loop()
    try:
        return _opened(path, format_, Copied(epoch, anew), forget, loop)
    except LogOpenError as error:
        if not is_damage(error.__cause__):
            raise
        _log.warning("%s; it is built anew", error)
    return _opened(path, format_, Copied(epoch, anew=True), forget, loop)


def epoch_of_copy(path: Path) -> bytes | None:
    """Return of which log a file is a copy; None if it is none, or of no use."""
    files = LogFiles.of(path)
    try:
        return epoch_of(files)
    except OSError:
        return None


def _opened(
    path: Path,
    format_: EventFormat,
    copied: Copied,
    forget: Forget,
    loop: asyncio.AbstractEventLoop,
) -> LogCopy:
    opened = open_files(path, format_, copied=copied)
    try:
        writer = GroupWriter(opened, format_, loop)
        reader = LogReader(opened.files.database, format_.keys, opened.watch)
    except BaseException:
        opened.close()
        raise
    return LogCopy(opened, writer, reader, SqliteIndex(format_.keys, writer, reader, forget))
