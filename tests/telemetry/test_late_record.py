"""Records of calls, told late: for whoever handles them, they are like any other."""

import copy
import logging

import pytest

from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.late_record import LateRecord
from gateway.telemetry.lines import LogFormat, formatter
from tests.harness.clock import ManualClock

FIELDS: dict[str, object] = {"method": "p.S/M", "reason": "", "ms": 1.5, "caller": "two words"}
CREATED = 1_800_000_000.25


def record(level: int = logging.INFO) -> LateRecord:
    return LateRecord(
        "gateway.calls", level, CREATED, "100 %: done", FIELDS, ("call", "OK"), is_thinned=True
    )


def like_any_other() -> logging.LogRecord:
    found = logging.LogRecord("gateway.calls", logging.INFO, "", 0, "%s", ("100 %: done",), None)
    found.__dict__["fields"] = FIELDS
    found.created = CREATED
    return found


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_its_line_is_that_of_any_other_record(log_format: LogFormat) -> None:
    lines = formatter(log_format)

    assert lines.format(record()) == lines.format(like_any_other())


def test_formatters_and_handlers_of_others_find_what_they_look_for() -> None:
    every = logging.Formatter(
        "%(asctime)s %(created)f %(msecs)d %(relativeCreated)d %(name)s %(levelno)s %(levelname)s"
        " %(pathname)s %(filename)s %(module)s %(lineno)d %(funcName)s %(process)s"
        " %(processName)s %(thread)s %(threadName)s %(message)s"
    )

    text = every.format(copy.copy(record(logging.WARNING)))

    assert " 1800000000.250000 250 0 gateway.calls 30 WARNING " in text
    assert text.endswith("100 %: done")


def test_levels_and_filters_hold_for_it() -> None:
    heard: list[logging.LogRecord] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    logger = logging.Logger("alone")
    logger.addHandler(Hearing(logging.WARNING))
    logger.addFilter(lambda it: it.levelno != logging.ERROR)

    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logger.handle(record(level))

    assert [it.levelname for it in heard] == ["WARNING"]


def test_one_that_is_held_for_a_second_keeps_its_words() -> None:
    clock = ManualClock()
    flood = Flood(clock)
    for _ in range(3):
        late = record()
        flood.passes(late, kind_of(late))
    clock.advance(1)

    (due,) = flood.due()

    assert (
        formatter("text")
        .format(due)
        .endswith(
            '100 %: done method=p.S/M ms=1.5 caller="two words" ... and 1 more in the last second'
        )
    )
