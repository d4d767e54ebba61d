"""The event log: whether its folder can be written, and has room for what is to be kept."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from gateway.config import Settings
from gateway.doctor.finding import Finding, fault, ok, warning

# Events of some kilobytes for a day of a busy account: with less room the log fills up in hours.
_ROOM_MIN = 1024**3

# A disk without room, and a user without a quota left.
_FULL = {errno.ENOSPC, errno.EDQUOT}


def finding(settings: Settings) -> Finding:
    """Return what is found of the log's file, or that of the index of a stream."""
    subject = "GATEWAY_EVENT_LOG" if isinstance(settings.event_log, Path) else "GATEWAY_INDEX"
    path = settings.log_file.absolute()
    if path.is_dir():
        return fault(subject, f"{path} is a folder", "name a file in it")
    folder = _nearest(path.parent)
    try:
        # What permissions say is not all: a file system may be read-only, or full.
        with tempfile.TemporaryFile(dir=folder) as made:
            made.write(b"\0" * 4096)
    except OSError as error:
        advice = "make room on it" if error.errno in _FULL else "make it writable"
        return fault(subject, f"{path.parent} cannot be written: {error.strerror}", advice)
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return fault(subject, f"{path} cannot be written", "give it to the gateway's user")
    size = path.stat().st_size if path.exists() else 0
    free, wanted = shutil.disk_usage(folder).free, settings.retention_size - size
    text = f"{path}: {size_text(size)}, {size_text(free)} free on the disk"
    if free < min(wanted, _ROOM_MIN):
        return fault(subject, text, "make room: without any, webhooks are refused")
    if free < wanted:
        return warning(
            subject,
            text,
            f"GATEWAY_RETENTION_SIZE allows {size_text(settings.retention_size)}: lower it, or make"
            " room",
        )
    return ok(subject, text)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the one that it would be made in."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def size_text(count: int) -> str:
    """Return a size for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count = count / 1024  # type: ignore[assignment]
    return f"{count:.4g} TiB"
