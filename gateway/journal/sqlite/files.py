"""The names of the log's files."""

from dataclasses import dataclass
from pathlib import Path

from gateway.journal.errors import LogOpenError


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The names of the files that make up a log. Use `of`."""

    database: Path

    @classmethod
    def of(cls, path: Path) -> "LogFiles":
        """Return the files of the log at a path, symbolic links followed. Raises LogOpenError.

        All names come from the file that a link leads to, as SQLite's own do: two names for one
        log must not mean two locks.
        """
        try:
            return cls(path.resolve())
        except (OSError, RuntimeError) as error:  # RuntimeError is Python 3.11's for a loop
            raise LogOpenError(f"cannot open the event log {path}: {error}") from None

    @property
    def wal(self) -> Path:
        """The write-ahead log: what has been stored and not yet been folded into the database."""
        return self._beside("-wal")

    @property
    def shm(self) -> Path:
        """The index of the write-ahead log. It holds nothing that cannot be made again."""
        return self._beside("-shm")

    @property
    def lock(self) -> Path:
        """What keeps a second gateway out."""
        return self._beside(".lock")

    @property
    def reserve(self) -> Path:
        """Room on the disk that is kept for deleting."""
        return self._beside(".reserve")

    def _beside(self, ending: str) -> Path:
        return self.database.with_name(self.database.name + ending)
