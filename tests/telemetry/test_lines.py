"""What stands in a line of the log, whatever others wrote into it."""

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.lines import MESSAGE_MAX, TRACEBACK_MAX, LogFormat, formatter

FORMATS: tuple[LogFormat, ...] = ("text", "json")
# Also what Unicode, terminals and Python take for the end of a line, and halves of characters.
TEXTS = st.text(st.characters(), max_size=60) | st.text("\r\n\x0b\x1b[31m\x85\u2028\u202e\ud800ab")


def line(log_format: LogFormat, template: str, *args: Any, **extra: Any) -> str:
    record = logging.LogRecord("gateway.x", logging.INFO, "x.py", 1, template, args, None)
    record.__dict__.update(extra)
    return formatter(log_format).format(record)


@pytest.mark.parametrize("log_format", FORMATS)
@given(message=TEXTS, peer=TEXTS)
def test_a_message_is_one_line_whatever_it_holds(
    log_format: LogFormat, message: str, peer: str
) -> None:
    text = line(log_format, "refused: %s", message, peer=peer)

    assert len(text.encode().decode().splitlines()) == 1
    assert "\x1b" not in text


@given(text=TEXTS)
def test_what_an_exception_says_never_looks_like_a_line_of_the_log(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        first, *rest = line("text", "failed", exc_info=sys.exc_info()).splitlines()

    assert first.endswith("failed")
    assert rest
    assert all(it.startswith("  | ") for it in rest)


@given(text=TEXTS)
def test_json_is_one_object_also_with_an_exception(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        written = line("json", "failed %s", text, exc_info=sys.exc_info(), more=3, peer="p")

    assert len(written.splitlines()) == 1
    read = json.loads(written)
    assert (read["level"], read["more"], read["peer"]) == ("info", 3, "p")
    assert "ValueError" in read["exception"]


def test_a_line_names_who_caused_it_and_how_many_it_stands_for() -> None:
    text = line("text", "refused: %s", "STALE", peer="192.0.2.1:4711", more=812)

    assert text.endswith("refused: STALE (from 192.0.2.1:4711) ... and 812 more in the last second")


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_line_is_no_longer_than_it_may_be(log_format: LogFormat) -> None:
    try:
        raise ValueError("x" * 1_000_000)
    except ValueError:
        text = line(log_format, "%s", "y" * 1_000_000, exc_info=sys.exc_info())

    assert len(text) < 1.2 * (MESSAGE_MAX + TRACEBACK_MAX)
    assert "996000 more characters" in text
