"""Room on the disk that is kept for deleting: deleting writes, too, before it frees anything."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from gateway.journal.sqlite.private import open_private
from gateway.journal.sqlite.schema import WAL_BYTES

# The write-ahead log that has to be folded into the database, which may have to grow by as much,
# and then a first small step of deletion.
RESERVE_BYTES = WAL_BYTES + 4 * 2**20

# Room that there must be to make it, or it would take the last of it.
_FREE_BYTES_MIN = RESERVE_BYTES + 2**20

# A smaller log, in bytes, is not what fills a disk.
LOG_BYTES_MIN = RESERVE_BYTES // 2

_PART = bytes(2**20)


class Reserve:
    """A file that takes up room for as long as there is plenty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def kept(self) -> bool:
        """Whether it is there."""
        return self._path.exists()

    def keep(self) -> bool:
        """Make it if there is room for it; returns whether it is there now."""
        if self.kept:
            return True
        part = self._path.with_name(self._path.name + ".part")
        try:
            if shutil.disk_usage(self._path.parent).free < _FREE_BYTES_MIN:
                return False
            fd = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                _fill(fd)
                os.fsync(fd)
            finally:
                os.close(fd)
            part.rename(self._path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return False
        return True

    def give_up(self) -> bool:
        """Free the room; returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def _fill(fd: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
        return
    for _ in range(RESERVE_BYTES // len(_PART)):
        os.write(fd, _PART)
