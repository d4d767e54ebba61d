"""Lines written by a thread of their own: who logs never waits for who reads the log."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import TypeAlias

# What waits to be written, in bytes. A reader that stands still for a moment loses nothing; one
# that stands still for good costs no more than this.
WAITING_BYTES_MAX = 2 * 1024 * 1024

# What a line costs beside its text, in bytes.
_LINE_BYTES = 80

# What it costs that a line is still to be told, in bytes: the record of a call and what holds it,
# 920, and more if it has failed.
LATE_BYTES = 1_024

# How much is written at a time, in bytes: a pipe that is ready takes so much without waiting (POSIX
# PIPE_BUF), whoever else writes to it being quiet.
_PIECE_BYTES = 4_096

# How often to look whether the end has come while nobody reads, in seconds.
_LOOK_S = 0.25

# How long lines are gathered before they are written together, in seconds. Nobody reads a log that
# soon. A thread that woke for each line would take the interpreter from the event loop each time:
# with a line for each call that was the larger part of what the lines cost.
_GATHER_S = 0.02

_Waiting: TypeAlias = bytes | Callable[[], None]


class LineWriter:
    """Writes lines to a file descriptor in the order they came; further ones are dropped.

    `lost` makes the line that tells how many were dropped, once lines can be written again.
    `more`, which is asked after `remind` and then every `every_s` seconds, and at the end, returns
    lines that have become due, or None when none will.
    """

    def __init__(
        self,
        descriptor: int,
        lost: Callable[[int], bytes],
        more: Callable[[], Sequence[bytes] | None] = lambda: None,
        every_s: float = 0.1,
    ) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._more = more
        self._every_s = every_s
        # Reentrant: what is collected at any moment may log in its destructor.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        # Lines, and what tells some.
        self._waiting: deque[_Waiting] = deque()
        # Whether the thread waits for somebody to wake it.
        self._is_idle = False
        # The thread while it calls what tells lines, and where it puts them.
        self._telling: int | None = None
        self._told: list[bytes] = []
        # What these take, and those that are being written.
        self._bytes = 0
        self._untold = 0
        self._reminded = False
        self._ends_at: float | None = None
        # How many lines were not written.
        self.dropped = 0
        # Whether the last one was.
        self.is_read = True
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written, which ends with a line end, or drop it if too many wait."""
        if threading.get_ident() == self._telling:
            self._told.append(line)
        else:
            self._put(line, len(line) + _LINE_BYTES)

    def put_late(self, tell: Callable[[], None]) -> None:
        """Have the thread call `tell`, which never raises: lines that it puts come in its place.

        Who logs is spared making them, and they cost less there: a thread that makes many lines one
        after the other is quicker at it than one that does something else between any two.
        """
        self._put(tell, LATE_BYTES)

    def remind(self) -> None:
        """Have `more` asked from now on, until it returns None."""
        if self._reminded:
            return
        with self._lock:
            self._reminded = True
            self._changed.notify()

    def close(self, within_s: float) -> None:
        """Write what waits, and give up after some seconds. What comes later is not written."""
        with self._lock:
            self._ends_at = monotonic() + within_s
            self._changed.notify()
        self._thread.join(within_s + _LOOK_S)

    def _put(self, line: _Waiting, size: int) -> None:
        with self._lock:
            if self._bytes + size > WAITING_BYTES_MAX:
                self._drop()
                return
            self._bytes += size
            self._waiting.append(line)
            # Else the thread looks again by itself.
            if self._is_idle:
                self._is_idle = False
                self._changed.notify()

    def _run(self) -> None:
        is_busy = is_last = False
        while True:
            with self._lock:
                if not (self._waiting or is_busy or self._ends_at is not None):
                    self._is_idle = True
                    self._changed.wait(self._every_s if self._reminded else None)
                    self._is_idle = False
                if (self._waiting or is_busy) and self._ends_at is None:
                    # Until then only the end is worth waking for: `remind` may wake too, and then
                    # there is a little less to write.
                    self._changed.wait(_GATHER_S)
                ending = self._ends_at is not None
                waiting, self._waiting = self._waiting, deque()
                untold, self._untold = self._untold, 0
                # Before it is asked: what is to be told after that is a reminder of its own.
                reminded, self._reminded = self._reminded, False
            # Where there was something, there is more soon: nobody has to wake the thread for that.
            is_busy = bool(waiting)
            lines = self._lines_of(waiting)
            written = bool(lines) and self._write(lines)
            if untold:
                self._tell(untold, tried=written or not lines)
            if reminded:
                self._ask()
            if ending and not self._waiting:
                if is_last:
                    return
                # After everything told late: some of it may be held for later.
                is_last = True
                self._ask()

    def _lines_of(self, waiting: Iterable[_Waiting]) -> list[bytes]:
        """Return lines, those among them that are put late."""
        lines: list[bytes] = []
        self._told, grown = lines, 0
        for it in waiting:
            if isinstance(it, bytes):
                lines.append(it)
                continue
            before = len(lines)
            self._telling = threading.get_ident()
            it()
            self._telling = None
            grown += sum(len(line) + _LINE_BYTES for line in lines[before:]) - LATE_BYTES
        # What was told takes up its own room from now on.
        if grown:
            with self._lock:
                self._bytes += grown
        return lines

    def _ask(self) -> None:
        due = self._more()
        if due is None:
            return
        for line in due:
            self.put(line)
        self._reminded = True

    def _tell(self, untold: int, *, tried: bool) -> None:
        if not (tried and self._write_all(self._lost(untold))):
            with self._lock:
                self._untold += untold

    def _write(self, lines: Sequence[bytes]) -> bool:
        """Write lines; returns whether all were written."""
        all_ = True
        for lot in _lots(lines):
            self.is_read = self._write_all(b"".join(lot))
            all_ = all_ and self.is_read
            # Only now: what is being written takes up room, too.
            with self._lock:
                self._bytes -= sum(len(it) + _LINE_BYTES for it in lot)
                if not self.is_read:
                    self._drop(len(lot))
        return all_

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            if not self._may_write():
                return False
            try:
                view = view[os.write(self._descriptor, view[:_PIECE_BYTES]) :]
            except BlockingIOError:  # somebody else made it so, and was quicker
                continue
            except OSError:
                return False
        return True

    def _may_write(self) -> bool:
        """Wait until writing does not wait; False when the end comes first."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while not poll.poll(0 if self._is_over else _LOOK_S * 1_000):
            if self._is_over:
                return False
        return True

    @property
    def _is_over(self) -> bool:
        return self._ends_at is not None and monotonic() >= self._ends_at

    def _drop(self, lines: int = 1) -> None:
        self.dropped += lines
        self._untold += lines


def _lots(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Return lines in lots that are written at one time, each whole: a longer one is alone."""
    lot: list[bytes] = []
    size = 0
    for line in lines:
        if lot and size + len(line) > _PIECE_BYTES:
            yield lot
            lot, size = [], 0
        lot.append(line)
        size += len(line)
    if lot:
        yield lot
