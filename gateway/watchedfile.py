"""Files that settings name: their contents, and what to do when these change.

Contents are compared, not times: Kubernetes swaps a link to a folder, an editor puts a new file in
the old one's place, and both may keep the time that a file shows.
"""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

# How often files are looked at, in seconds.
POLL_S = 1.0

# The largest file that is read, in bytes: all public certificates together are 300 KiB.
FILE_BYTES_MAX = 4 * 1024 * 1024

T = TypeVar("T")


def contents_of(path: Path, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """Return what is in a file.

    Raises ValueError, with words that follow the file's name, for one that cannot be read, is none
    (a folder, a pipe) or is larger than `bytes_max`.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("is not a file")
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise ValueError(f"has more than {bytes_max} bytes")
    return data


def _opened(path: str, flags: int) -> int:
    # Not blocking, or a pipe without a writer would hold us for ever.
    return os.open(path, flags | os.O_NONBLOCK)


class WatchedFile(Generic[T]):
    """A file, or several that belong together as a certificate and its key do, and their value.

    `read` makes a value of the contents, one argument a file in the order of `paths`; it raises
    ValueError if it cannot, and runs in a thread. `taken` is given each value that differs from
    the one before, at first from `current`. `refused` is given, once each, why a change is not
    taken: the value before stays in force. `restored` is told when the files have that value again:
    who was told of a mistake hears its end. A file above `bytes_max` is not taken, as when it was
    read first: else the next start would refuse what goes on working until then.

    A change counts once it was seen twice, a poll apart: until then somebody may be writing, and
    half a list of keys is a list of keys.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[..., T],
        taken: Callable[[T], None],
        refused: Callable[[str], None],
        current: T | None = None,
        bytes_max: int = FILE_BYTES_MAX,
        restored: Callable[[], None] | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._taken = taken
        self._refused = refused
        self._current = current
        self._bytes_max = bytes_max
        self._restored = restored
        self._is_refused = False
        # What the latest two looks saw: contents, or why there are none.
        self._seen: tuple[bytes, ...] | str | None = None
        self._judged: tuple[bytes, ...] | str | None = None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the files until cancelled."""
        while True:
            await sleep(POLL_S)
            await self.look()

    async def look(self) -> None:
        """Look once, and take or refuse what was there the last time already."""
        before, self._seen = self._seen, await asyncio.to_thread(self._look)
        if self._seen != before or self._seen == self._judged:
            return
        self._judged = self._seen
        was_refused, self._is_refused = self._is_refused, True
        if isinstance(self._seen, str):
            self._refused(self._seen)
            return
        try:
            value = await asyncio.to_thread(self._read, *self._seen)
        except ValueError as error:
            self._refused(str(error))
            return
        self._is_refused = False
        if value != self._current:
            self._taken(value)
            self._current = value
        elif was_refused and self._restored is not None:
            self._restored()

    def _look(self) -> tuple[bytes, ...] | str:
        contents = []
        for path in self._paths:
            try:
                contents.append(contents_of(path, self._bytes_max))
            except ValueError as error:
                return f"{path} {error}"
        return tuple(contents)
