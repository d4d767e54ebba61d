"""Logs: a line each on standard error, in one form whoever writes it, and never waited for.

A record goes from any logger to the one handler, which lets one of a kind through per second
(`flood`), makes its line (`lines`), and leaves it to a thread (`writer`). What libraries write to
standard error without a logger comes the same way (`standard_error`).
"""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

import grpc

from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.lines import Formatter, LogFormat, formatter
from gateway.telemetry.standard_error import GRPC_CORE, StandardError, log_line
from gateway.telemetry.writer import LineWriter

__all__ = ["LogFormat", "Logs", "logs_set_up"]

# Loggers that tell of every request or connection at INFO.
_TALKATIVE = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "grpc", "asyncio")

# Where gRPC's server logs.
_GRPC_SERVER = "grpc._cython.cygrpc"

# How long the end of the process waits for lines that nobody reads, in seconds.
_LAST_LINES_S = 1.0

_log = logging.getLogger(__name__)


class Logs:
    """Logs that are set up: has lines made in their thread, and says how many records have none."""

    def __init__(self, flood: Flood, writer: LineWriter) -> None:
        self._flood = flood
        self._writer = writer

    def later(self, tell: Callable[[], None]) -> None:
        """Have something logged in the thread that writes; what it logs has its place in the order.

        It is for lines of which there may be one for each call. All that they tell must be values:
        they are made within 20 ms, or at the end.
        """
        self._writer.put_late(partial(_told, tell))

    @property
    def counted(self) -> int:
        """Those that another line of their kind tells the number of."""
        return self._flood.counted

    @property
    def dropped(self) -> int:
        """Those whose lines could not be written."""
        return self._writer.dropped

    @property
    def is_read(self) -> bool:
        """Whether the last line could be written."""
        return self._writer.is_read


@contextmanager
def logs_set_up(level: str, log_format: LogFormat) -> Iterator[Logs]:
    """Set up logging for the process; called once, by the command line.

    At the end, what waits is written if somebody reads it within a second.
    """
    standard_error = StandardError(log_line)
    handler = _Handler(standard_error.descriptor, formatter(log_format))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    grpc_server = logging.getLogger(_GRPC_SERVER)
    grpc_server.addFilter(_is_news)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # What comes of gRPC's core was asked for, by its own variable GRPC_VERBOSITY.
    logging.getLogger(GRPC_CORE).setLevel(level.upper())
    sys.unraisablehook, threading.excepthook = _unraisable, _thread_failed
    try:
        yield handler.logs
    finally:
        sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
        standard_error.drain()
        # Before it is removed: what is told late goes through it, too.
        handler.close()
        logging.getLogger().removeHandler(handler)
        grpc_server.removeFilter(_is_news)
        logging.captureWarnings(False)
        standard_error.close(read=handler.logs.is_read)


class _Handler(logging.Handler):
    """Has records written to a descriptor; never waits and never raises."""

    def __init__(self, descriptor: int, lines: Formatter) -> None:
        super().__init__()
        self._lines = lines
        self._flood = Flood(monotonic)
        self._is_closing = False
        self._writer = LineWriter(descriptor, self._lost, self._due)
        self.logs = Logs(self._flood, self._writer)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            self._take(record)
        except Exception:  # a template and arguments that do not go together, a repr that fails
            record.msg, record.args, record.exc_info = f"not formatted: {record.msg!r}", None, None
            self._take(record)

    def close(self) -> None:
        """See `logging.Handler`."""
        self._is_closing = True
        self._writer.close(_LAST_LINES_S)
        super().close()

    def _take(self, record: logging.LogRecord) -> None:
        # Who asks for a line of each has it, however many there are.
        is_thinned = getattr(record, "is_thinned", True)
        if not is_thinned or self._flood.passes(record, kind_of(record)):
            self._writer.put(self._line(record))
        elif self._flood.holds:
            self._writer.remind()

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self._lines.format(record)}\n".encode(errors="backslashreplace")

    def _due(self) -> list[bytes] | None:
        due = self._flood.due(all_=self._is_closing)
        return [self._line(it) for it in due] if due or self._flood.holds else None

    def _lost(self, count: int) -> bytes:
        text = "%d log lines were dropped: standard error was not read, or could not be written"
        return self._line(_record(logging.WARNING, text, count))


def _told(tell: Callable[[], None]) -> None:
    try:
        tell()
    except Exception:
        _log.exception("a line could not be made")


def _record(level: int, template: str, *args: Any) -> logging.LogRecord:
    return _log.makeRecord(__name__, level, __file__, 0, template, args, None)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record of gRPC's says more than that a caller went before its response.

    gRPC logs that with a traceback if it meets the response before the news of the caller.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.InternalError)


def _unraisable(unraisable: Any) -> None:
    """Log an error that Python can raise nowhere."""
    what = unraisable.err_msg or "an error that could not be raised, in"
    error = (unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)
    _log.error("%s: %.200r", what, unraisable.object, exc_info=error)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Log the end of a thread by an error."""
    name = failed.thread.name if failed.thread else "?"
    error = failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback
    _log.error("the thread %s failed unexpectedly", name, exc_info=error)
