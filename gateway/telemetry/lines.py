"""Log lines as text: one record never makes a line that looks like another's."""

import logging
import re
import unicodedata
from typing import Literal, Protocol

import orjson

LogFormat = Literal["text", "json"]

# The longest message and the longest traceback that are written, in characters. Of a message the
# beginning tells most, of a traceback the end. Both may hold what somebody sent.
MESSAGE_MAX = 4_000
TRACEBACK_MAX = 12_000

# Stands before each line of a traceback: what an exception says may look like a line of the log.
_MARGIN = "  | "

# Categories of Unicode that no line of text needs: controls (line ends and escape sequences among
# them), invisible formatting (such as what turns the direction of writing), halves of pairs (which
# cannot be encoded), line separators.
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


# What needs no quotes behind a field's name.
_WORD = re.compile(r"[^\s\"=\\]+")


class Formatter(Protocol):
    """Turns a record into the text of its line, without the line end."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text."""


def shown(text: str) -> str:
    r"""Return a text with its control characters escaped (`\n`, `\x1b`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        it.encode("unicode_escape").decode() if unicodedata.category(it) in _NOT_SHOWN else it
        for it in text
    )


def formatter(log_format: LogFormat) -> Formatter:
    """Return what writes lines for people (`text`) or for programs (`json`)."""
    return _JsonLines() if log_format == "json" else _TextLines()


class _TextLines:
    """Writes a record for people; a traceback stands below it, behind a margin."""

    def __init__(self) -> None:
        self._time = _Times("%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = self._time.of(record)
        line = f"{time} {record.levelname:<7} {shown(record.name)}  {_message(record)}"
        peer, more, fields = _beside(record)
        if peer and not fields.get("peer"):
            line += f" (from {shown(str(peer))})"
        line += _pairs(fields)
        if more:
            line += f" ... and {more} more in the last second"
        traceback = _traceback(record)
        return "\n".join((line, *(_MARGIN + it for it in traceback)))


class _JsonLines:
    """Writes a record as one JSON object."""

    def __init__(self) -> None:
        self._time = _Times("%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": self._time.of(record),
            "level": record.levelname.lower(),
            "logger": shown(record.name),
            "message": _message(record),
        }
        peer, more, fields = _beside(record)
        if peer:
            line["peer"] = shown(str(peer))
        for name, it in fields.items():
            if it != "" and it is not None:
                line[name] = shown(it) if isinstance(it, str) else it
        if more:
            line["more"] = more
        if traceback := _traceback(record):
            line["exception"] = "\n".join(traceback)
        return orjson.dumps(line).decode()


class _Times:
    """Times of records in whole seconds, each of which is made into a text once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._formatter = logging.Formatter()
        self._last = (-1, "")

    def of(self, record: logging.LogRecord) -> str:
        """Return when a record was made, by the machine's own time zone."""
        second, text = self._last  # at once: another thread may be here, too
        if int(record.created) != second:
            text = self._formatter.formatTime(record, self._pattern)
            self._last = (int(record.created), text)
        return text


def _beside(record: logging.LogRecord) -> tuple[object, int, dict[str, object]]:
    """Return what a line has beside its message: who caused it, how many more, its fields.

    Fields (`extra={"fields": {...}}`) are texts and numbers by name; empty ones are not written.
    """
    fields: dict[str, object] = getattr(record, "fields", {})
    return getattr(record, "peer", None), getattr(record, "more", 0), fields


def _pairs(fields: dict[str, object]) -> str:
    """Return fields as they stand in a line of text, each behind a blank."""
    given = [(name, it) for name, it in fields.items() if it != "" and it is not None]
    # One look at all texts: nearly always they are words.
    if _is_word("".join([it for _, it in given if isinstance(it, str)])):
        return "".join([f" {name}={it}" for name, it in given])
    return "".join([f" {name}={_value(it)}" for name, it in given])


def _is_word(text: str) -> bool:
    """Tell whether a text needs neither quotes nor escapes behind a field's name."""
    return (
        text.isascii()
        and text.isprintable()
        and not (" " in text or '"' in text or "=" in text or "\\" in text)
    )


def _value(value: object) -> str:
    """Return a field's value as it stands behind its name: quoted where it has more than a word."""
    if not isinstance(value, str):
        return str(value)
    text = shown(value)
    return text if _WORD.fullmatch(text) else orjson.dumps(text).decode()


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if len(text) > MESSAGE_MAX:
        text = f"{text[:MESSAGE_MAX]} [{len(text) - MESSAGE_MAX} more characters]"
    return shown(text)


def _traceback(record: logging.LogRecord) -> list[str]:
    text = record.exc_text or ""
    if record.exc_info:
        # Not kept at the record, as `logging.Formatter` would.
        text = logging.Formatter().formatException(record.exc_info)
    if len(text) > TRACEBACK_MAX:
        text = f"[{len(text) - TRACEBACK_MAX} more characters]\n{text[-TRACEBACK_MAX:]}"
    return [shown(line) for line in text.split("\n")] if text else []
