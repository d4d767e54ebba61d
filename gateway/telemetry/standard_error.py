"""Standard error, as those write to it who know nothing of our logs: gRPC's core, other libraries.

They write to descriptor 2 themselves, from any thread, and would wait there for a reader that does
not read. So the descriptor becomes a pipe of our own, which never makes anybody wait; what comes
out of it is logged.
"""

import contextlib
import faulthandler
import logging
import os
import re
import stat
import sys
import threading
from collections.abc import Callable

_STANDARD_ERROR = 2

# The longest line that is kept together, in bytes.
_LINE_BYTES_MAX = 8_192

# How long to wait at the end for what is in the pipe, in seconds.
_LAST_S = 0.5

# How gRPC's core begins its lines (Abseil): "E0000 00:00:1700000000.123456    77 file.cc:12] text".
_OF_GRPC = re.compile(r"(?P<level>[IWEF])\d{4} [\d:.]+ +\d+ (?P<place>\S+:\d+)\] (?P<text>.*)")

# What Abseil says once about itself.
_OF_ABSEIL = "WARNING: All log messages before absl::InitializeLog()"

# An error, to gRPC's core, is mostly what one connection did wrong, which is no alarm.
_LEVELS = {
    "I": logging.INFO,
    "W": logging.WARNING,
    "E": logging.WARNING,
    "F": logging.CRITICAL,
}

# The logger of its lines.
GRPC_CORE = "grpc.core"

_grpc = logging.getLogger(GRPC_CORE)
_others = logging.getLogger("stderr")


class StandardError:
    """Holds descriptor 2 from construction on, and hands its lines to `take`.

    `descriptor` leads to where standard error led before.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        sys.stderr.flush()
        self.descriptor = os.dup(_STANDARD_ERROR)
        self._source, sink = os.pipe()
        # A line is lost rather than waited with.
        os.set_blocking(sink, False)
        os.dup2(sink, _STANDARD_ERROR)
        os.close(sink)
        self._thread = threading.Thread(target=self._read, name="stderr", daemon=True)
        self._thread.start()
        self._unwaiting = _unwaiting(self.descriptor)
        if self._unwaiting is not None:
            # What a crash writes into the pipe is lost with the process; this tells where it was.
            faulthandler.enable(self._unwaiting)

    def drain(self) -> None:
        """Hand over what is in the pipe; what is written from now on is lost until `close`."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        _lead_nowhere()
        self._thread.join(_LAST_S)

    def close(self, *, read: bool) -> None:
        """Give descriptor 2 back; `read` says whether what it led to before is read.

        What is written to it while the process ends must not wait either.
        """
        if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            os.dup2(self.descriptor, _STANDARD_ERROR)
        elif self._unwaiting is not None:
            os.dup2(self._unwaiting, _STANDARD_ERROR)
        elif read:
            os.dup2(self.descriptor, _STANDARD_ERROR)
        if self._unwaiting is not None:
            faulthandler.disable()
            os.close(self._unwaiting)

    def _read(self) -> None:
        rest = b""
        with open(self._source, "rb", buffering=0) as source:
            while data := source.read(65_536):
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > _LINE_BYTES_MAX:
                    lines.append(rest)
                    rest = b""
                for line in lines:
                    self._hand_over(line)
        self._hand_over(rest)

    def _hand_over(self, line: bytes) -> None:
        text = line[:_LINE_BYTES_MAX].decode(errors="backslashreplace").rstrip()
        if text:
            self._take(text)


def log_line(text: str) -> None:
    """Log a line that somebody wrote to standard error."""
    found = _OF_GRPC.fullmatch(text)
    if found:
        level = _LEVELS[found["level"]]
        _grpc.log(level, "%s: %s", found["place"], found["text"], extra={"kind": found["place"]})
    elif not text.startswith(_OF_ABSEIL):
        _others.warning("%s", text)


def _unwaiting(descriptor: int) -> int | None:
    """Return another descriptor of the same file that never waits, None if there can be none.

    Setting a descriptor so would set it for other programs that share it, such as the shell.
    """
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return None


def _lead_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STANDARD_ERROR)
    os.close(nowhere)
