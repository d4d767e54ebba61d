"""The file of a Unix socket: made, put in its place, and removed with its process."""

import contextlib
import errno
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Who may connect: the owner and the group, so that a proxy that runs as another user of the same
# group can. All others would be callers without a certificate or a token.
MODE = 0o660


class SocketFilePlace:
    """The path under which clients find a socket.

    The socket is made in a folder that only its owner can enter, and moved to its path once it has
    its mode. So the path is never that of a half-made socket, nothing is missing while a dead
    process's file is replaced, and gRPC, which removes what it finds at the name it was given, can
    remove nobody's but its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # The file that stands there for us, by device and number.
        self._ours: tuple[int, int] | None = None

    @contextmanager
    def hidden(self) -> Iterator[Path]:
        """Give a path to listen on, and publish the socket when that is done.

        Raises OSError, in words, if the path cannot be had: what is there is no socket, or another
        process listens on it.
        """
        self._check()
        with tempfile.TemporaryDirectory(prefix=".", dir=self._path.parent) as folder:
            hidden = Path(folder) / "s"
            yield hidden
            hidden.chmod(MODE)
            found = hidden.stat()
            hidden.rename(self._path)
            self._ours = (found.st_dev, found.st_ino)

    def remove(self) -> None:
        """Remove the file, unless another process has put its own there."""
        ours, self._ours = self._ours, None
        with contextlib.suppress(OSError):  # somebody has removed it
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == ours:
                self._path.unlink()

    def _check(self) -> None:
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
        if _is_listened_on(self._path):
            raise OSError(errno.EADDRINUSE, "another process listens on it")


def _is_listened_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        trial.setblocking(False)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            return False  # its process has died
        except OSError:
            return True  # its queue is full, or it is not ours to ask
    return True
