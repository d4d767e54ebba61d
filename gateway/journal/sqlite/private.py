"""Files that nobody else on the machine may open: they hold what was said about calls."""

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from gateway.journal.errors import LogOpenError

# Of files and of folders, whatever the umask says.
FILE_MODE = 0o600
FOLDER_MODE = 0o700

# Rights of the group and of everybody else.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

# A symbolic link in its place is not followed: in a folder that others write to, it may be a trap.
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)

_log = logging.getLogger(__name__)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where there is none.

    One that is there is left as it is: it may be used for other things, too. Raises OSError.
    """
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        _log.warning(
            "the folder %s is writable by everybody, who can replace the event log in it: `chmod"
            " o-w` it, or give the log a folder of its own with GATEWAY_EVENT_LOG",
            path,
        )


def open_private(path: Path, flags: int) -> int:
    """Open a file, making it if `flags` say so, and keep others out of it.

    A file that others could open is narrowed. Raises OSError, and LogOpenError for a symbolic link
    and for a file that somebody else put into a folder that is everybody's, such as `/tmp`: they
    could lead it elsewhere, or open it at any time.
    """
    try:
        fd = os.open(path, flags | _NO_LINK | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise LogOpenError(
            f"{path} is a symbolic link, which may lead anywhere: remove it"
        ) from None
    try:
        _narrow(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def narrow(path: Path) -> None:
    """Keep others out of a file that is there, as `open_private` does. Raises LogOpenError."""
    with suppress(OSError):
        os.close(open_private(path, os.O_RDONLY | os.O_NONBLOCK))


def _narrow(fd: int, path: Path) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return  # what it may be is for others to say
    if found.st_uid != os.geteuid():
        _judge_owner(path, found)
    if stat.S_IMODE(found.st_mode) == FILE_MODE:
        return
    try:
        os.fchmod(fd, FILE_MODE)
    except OSError as error:
        if found.st_mode & _OTHERS:
            _log.warning(
                "%s is readable by others (mode %03o), and its mode cannot be changed (%s)",
                path,
                stat.S_IMODE(found.st_mode),
                error.strerror,
            )
        return
    if found.st_mode & _OTHERS:
        _log.info("%s was readable by others; its mode is now 600", path)


def _judge_owner(path: Path, found: os.stat_result) -> None:
    if path.parent.stat().st_mode & stat.S_IWOTH and found.st_uid != 0:
        raise LogOpenError(
            f"{path} belongs to another user (id {found.st_uid}), in a folder that everybody may"
            " write to: give the log a folder of its own with GATEWAY_EVENT_LOG"
        )
    _log.warning(
        "%s belongs to another user (id %d), who can open it whatever its mode", path, found.st_uid
    )
