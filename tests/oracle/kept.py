"""Where the log of a world is kept, and what can befall it there: a file of SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from tests.harness.events import FORMAT
from tests.harness.logs import writer_of
from tests.oracle.disk import Reading, copy_log, one_file, read_log, tear, wal_of
from tests.oracle.stepped import Late, SteppedLoop

# Pages in the write-ahead log at which it is folded into the file, for schedules that do so often.
CHECKPOINT_PAGES = 8
_PAGES_MAX = 1_073_741_823


class Kept(Protocol):
    """The log of one world, over all of its lives."""

    @property
    def failed_is_nothing(self) -> bool:
        """Whether an append that failed has stored nothing."""

    @property
    def can_delete(self) -> bool:
        """Whether retention can do its work now."""

    async def open(self, *, checkpoints: bool, late: Late | None) -> EventLog:
        """Open it, with its write-ahead log folded all the time or not, and telling late or not."""

    def read(self) -> Sequence[Reading]:
        """Read what is stored, by other code than the gateway's: the log, and copies of it."""

    async def lose_room(self, log: EventLog) -> None:
        """Have nothing stored any more, when nothing is in flight."""

    async def get_room(self, log: EventLog) -> None:
        """End that; returns when things are stored again. Does nothing if it is so already."""

    def written(self) -> int:
        """How large what a crash may tear is now, in bytes."""

    def copy(self) -> None:
        """Go on with a copy, as the process that has it open leaves it that dies now."""

    def tear(self, since: int, share: float, *, garbled: bool) -> bool:
        """Damage of that copy what was written since; returns whether there was anything."""

    def replace(self) -> None:
        """Have another log in its place when it is opened next."""


class Keeping(Protocol):
    """Keeps the logs of worlds, one after the other."""

    def __call__(self, loop: SteppedLoop, folder: Path) -> AbstractContextManager[Kept]: ...


class LogFile:
    """A log in a file."""

    failed_is_nothing = can_delete = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = 0
        self._path = self._new_path()

    async def open(self, *, checkpoints: bool, late: Late | None) -> EventLog:
        log = await open_log(self._path, FORMAT, birth_of=one_file)
        if checkpoints:
            writer = writer_of(log)._connection
            writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if late is not None:
            writer_of(log)._in_loop = late.call  # type: ignore[method-assign]
        return log

    def read(self) -> Sequence[Reading]:
        return [read_log(self._path)]

    async def lose_room(self, log: EventLog) -> None:
        writer = writer_of(log)._connection
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages}")

    async def get_room(self, log: EventLog) -> None:
        writer_of(log)._connection.execute(f"PRAGMA max_page_count = {_PAGES_MAX}")

    def written(self) -> int:
        return wal_of(self._path).stat().st_size if wal_of(self._path).exists() else 0

    def copy(self) -> None:
        old, self._path = self._path, self._new_path()
        copy_log(old, self._path)

    def tear(self, since: int, share: float, *, garbled: bool) -> bool:
        return tear(self._path, since, share, garbled=garbled)

    def replace(self) -> None:
        self._path = self._new_path()

    def _new_path(self) -> Path:
        self._files += 1
        folder = self._folder / str(self._files)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder / "events.db"


@contextmanager
def in_file(loop: SteppedLoop, folder: Path) -> Iterator[Kept]:
    """Keep logs in files."""
    yield LogFile(folder)
