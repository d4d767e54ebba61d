"""Records whose words are made late: for whoever handles them, they are like any other."""

import copy
import logging

import pytest

from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.late_record import LateRecord
from gateway.telemetry.lines import LogFormat, formatter
from tests.harness.clock import ManualClock


class Told:
    """What a line says, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def words(self) -> str:
        self.asked += 1
        return "a call succeeded: p.S/M"

    def fields(self) -> dict[str, object]:
        self.asked += 1
        return {"method": "p.S/M", "reason": "", "ms": 1.5, "caller": "two words"}


def record(told: Told, level: int = logging.INFO) -> LateRecord:
    return LateRecord("gateway.calls", level, told, ("call", "OK"), is_thinned=False)


def like_any_other() -> logging.LogRecord:
    fields = Told().fields()
    found = logging.LogRecord("gateway.calls", logging.INFO, "", 0, "%s", (Told().words(),), None)
    found.__dict__["fields"] = fields
    return found


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_its_line_is_that_of_any_other_record(log_format: LogFormat) -> None:
    late, other = record(Told()), like_any_other()
    late.created = other.created

    assert formatter(log_format).format(late) == formatter(log_format).format(other)


def test_nothing_is_made_before_somebody_asks() -> None:
    told = Told()
    flood = Flood(ManualClock())

    late = record(told)
    assert flood.passes(late, kind_of(late))

    assert told.asked == 0


def test_formatters_and_handlers_of_others_find_what_they_look_for() -> None:
    every = logging.Formatter(
        "%(asctime)s %(created)f %(msecs)d %(relativeCreated)d %(name)s %(levelno)s %(levelname)s"
        " %(pathname)s %(filename)s %(module)s %(lineno)d %(funcName)s %(process)s"
        " %(processName)s %(thread)s %(threadName)s %(message)s"
    )
    late = record(Told(), logging.WARNING)

    text = every.format(copy.copy(late))

    assert " gateway.calls 30 WARNING " in text
    assert text.endswith("a call succeeded: p.S/M")
    assert 0 <= late.msecs < 1_000


def test_levels_and_filters_hold_for_it() -> None:
    heard: list[logging.LogRecord] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    logger = logging.Logger("alone")
    hearing = Hearing(logging.WARNING)
    logger.addHandler(hearing)
    logger.addFilter(lambda it: it.levelno != logging.ERROR)

    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logger.handle(record(Told(), level))

    assert [it.levelname for it in heard] == ["WARNING"]


def test_one_that_is_held_for_a_second_keeps_its_words() -> None:
    clock = ManualClock()
    flood = Flood(clock)
    for _ in range(3):
        late = record(Told())
        flood.passes(late, kind_of(late))
    clock.advance(1)

    (due,) = flood.due()

    assert (
        formatter("text")
        .format(due)
        .endswith(
            'a call succeeded: p.S/M method=p.S/M ms=1.5 caller="two words"'
            " ... and 1 more in the last second"
        )
    )
