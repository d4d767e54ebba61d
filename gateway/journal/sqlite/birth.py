"""Birth marks: which file on which disk a log lives in, to tell the log from a copy of it."""

import ctypes
import os
import struct
import sys
from collections.abc import Mapping
from typing import NamedTuple

# Under which names a log knows its own file.
_INODE, _BORN = "file_inode", "file_born_ns"

# statx(2), which Python has from version 3.15 on: the file that is open, and its time of birth.
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_MASK = struct.Struct("=I")
_BIRTH = struct.Struct("=qI")
_BIRTH_AT = 80


class Birth(NamedTuple):
    """A file's inode, and when it was made, in nanoseconds since 1970; None if nobody knows.

    Both stay for as long as the file does, through renames, remounts and restarts, and every copy
    has others. The inode alone would not do: many file systems give the one of a file that was just
    deleted to the next. Devices and machines are not compared: their numbers change while the file
    stays, with every start or when its disk moves to another machine.
    """

    inode: int
    born_ns: int | None

    def is_of(self, meta: Mapping[str, int | bytes]) -> bool:
        """Whether a log that says this of itself was last used in this file, as far as it says."""
        if _INODE in meta and meta[_INODE] != self.inode:
            return False
        return self.born_ns is None or meta.get(_BORN, self.born_ns) == self.born_ns

    def is_noted_in(self, meta: Mapping[str, int | bytes]) -> bool:
        """Whether a log says all of this of itself."""
        return all(meta.get(name) == value for name, value in self.noted().items())

    def noted(self) -> Mapping[str, int]:
        """Return what a log that lives in this file is to say of itself."""
        return {_INODE: self.inode} | ({} if self.born_ns is None else {_BORN: self.born_ns})


def birth_of(fd: int) -> Birth:
    """Return the birth of an open file. Raises OSError."""
    found = os.fstat(fd)
    # SQLite's integers have a sign.
    return Birth(ctypes.c_int64(found.st_ino).value, _born_ns(fd, found))


def _born_ns(fd: int, found: os.stat_result) -> int | None:
    born_s: float | None = getattr(found, "st_birthtime", None)
    if born_s is not None:
        return round(born_s * 1_000_000) * 1_000  # a float has no more
    statx = getattr(ctypes.CDLL(None), "statx", None) if sys.platform == "linux" else None
    if statx is None:
        return None
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    if statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, answer):
        return None
    (mask,) = _MASK.unpack_from(answer)
    if not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = _BIRTH.unpack_from(answer, _BIRTH_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
