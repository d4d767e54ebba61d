"""The frames of the write-ahead log: whether the file still holds all that SQLite has put there.

A write-ahead log that somebody cuts short (`truncate`, `> events.db-wal`) takes further commits:
SQLite goes on behind what it counts, and leaves a hole. The next start ends at the hole, so that
everything behind it is lost without an error. How many frames there must be is in the index beside
the file. Formats: https://www.sqlite.org/walformat.html.
"""

import mmap
import os
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gateway.journal.sqlite.files import LogFiles

# The index begins with two copies of this, written one after the other: version, (unused), change
# counter, initialized, checksum's order, page size, frames, pages, checksum, salts, checksum.
_INDEX = struct.Struct("=I8xBxHI12x8s8x")
_INDEX_VERSION = 3_007_000

# Before the first frame, and before the page in each of them, in bytes.
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24

# Where a frame's header has the salts, which change each time the file is begun anew.
_SALTS = slice(8, 16)


class _Counted(NamedTuple):
    """How many frames there must be, of which size in bytes, and the salts of each."""

    frames: int
    frame_bytes: int
    salts: bytes


class WalFrames:
    """Looks whether frames are missing. Make it while SQLite has the log open.

    Raises OSError. Its descriptors stay open until `close`, after SQLite has closed the log: to
    close one would drop the locks that SQLite holds in this process (sqlite.org/howtocorrupt.html,
    2.2).
    """

    def __init__(self, files: LogFiles) -> None:
        with ExitStack() as opened:
            self._wal = _opened(files.wal, opened)
            shm = _opened(files.shm, opened)
            # In memory, as SQLite has it: this is looked at before each commit.
            self._index = mmap.mmap(shm, 2 * _INDEX.size, access=mmap.ACCESS_READ)
            opened.callback(self._index.close)
            self._opened = opened.pop_all()
        self._last: _Counted | None = None

    def are_missing(self) -> bool:
        """Return whether the file lacks frames that were there, or has a hole in their place.

        The last frame is the first to go. The one that was last before the last commit is looked
        at, too: it is gone if the file was truncated in the middle of that.
        """
        now, before = self._counted(), self._last
        self._last = now
        if now is None or self._holds_both(now, before):
            return False
        # Another program may have folded all of them and emptied the file in between. It says so in
        # the index before it does.
        return self._counted() == now

    def close(self) -> None:
        """Close the descriptors."""
        self._opened.close()

    def _counted(self) -> _Counted | None:
        """Return what the index says, None if it says nothing or is being written."""
        data = self._index[:]
        if data[: _INDEX.size] != data[_INDEX.size :]:
            return None
        version, initialized, page_bytes, frames, salts = _INDEX.unpack_from(data)
        if version != _INDEX_VERSION or not initialized or not frames:
            return None
        # 65,536 does not fit in two bytes, and stands there as 1.
        page_bytes = (page_bytes & 0xFE00) + ((page_bytes & 1) << 16)
        return _Counted(frames, _FRAME_HEADER_BYTES + page_bytes, salts)

    def _holds_both(self, now: _Counted, before: _Counted | None) -> bool:
        if before is not None and before.salts == now.salts and before.frames < now.frames:
            return self._holds(now) and self._holds(before)
        return self._holds(now)

    def _holds(self, counted: _Counted) -> bool:
        """Return whether the last of so many frames is whole, by its length and its salts."""
        begins_at = _WAL_HEADER_BYTES + (counted.frames - 1) * counted.frame_bytes
        frame = os.pread(self._wal, counted.frame_bytes, begins_at)
        return len(frame) == counted.frame_bytes and frame[_SALTS] == counted.salts


def _opened(path: Path, stack: ExitStack) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd
