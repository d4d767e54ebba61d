"""One line of each kind per second, and none that is not told of."""

import logging
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.flood import KINDS_MAX, WINDOW_S, Flood, kind_of
from tests.harness.clock import ManualClock


def record(template: str = "refused: %s", *args: Any, name: str = "a", **extra: Any) -> Any:
    made = logging.LogRecord(name, logging.INFO, "a.py", 1, template, args, None)
    made.__dict__.update(extra)
    return made


def told(flood: Flood, *records: Any) -> list[str]:
    """The messages of those records that are written at once."""
    return [it.getMessage() for it in records if flood.passes(it, kind_of(it))]


def due(flood: Flood) -> list[tuple[str, int]]:
    return [(it.getMessage(), it.__dict__["more"]) for it in flood.due()]


def test_the_first_of_a_kind_is_told_at_once_and_the_rest_in_one_line_a_second_later() -> None:
    clock = ManualClock()
    flood = Flood(clock)

    assert told(flood, *(record("refused: %s", n) for n in range(814))) == ["refused: 0"]
    assert due(flood) == []
    clock.now += WINDOW_S

    assert due(flood) == [("refused: 1", 812)]
    assert not flood.holds
    assert flood.counted == 812


def test_a_flood_that_goes_on_makes_a_line_each_second() -> None:
    clock = ManualClock()
    flood = Flood(clock)
    lines = 0
    for _ in range(100):
        lines += len(told(flood, *(record("refused: %s", n) for n in range(50))))
        clock.now += WINDOW_S / 10
        lines += len(due(flood))

    assert lines <= 12


def test_a_kind_that_comes_seldom_is_never_held() -> None:
    clock = ManualClock()
    flood = Flood(clock)
    for n in range(5):
        assert told(flood, record("refused: %s", n)) == [f"refused: {n}"]
        clock.now += WINDOW_S


def test_kinds_do_not_hide_each_other() -> None:
    flood = Flood(ManualClock())
    others = (
        record("refused: %s", "x", name="b"),
        record("taken: %s", "x"),
        record("refused: %s", "x", kind="STALE"),
        record("%s", "a warning"),
        record("%s", "another one"),
    )

    assert len(told(flood, record("refused: %s", "x"), *others)) == 6


def test_messages_that_differ_in_numbers_only_are_one_kind() -> None:
    flood = Flood(ManualClock())

    made = [record(f"Task-{n} at 0x7f{n:x} failed\nsecond line {n}") for n in range(100)]

    assert len(told(flood, *made)) == 1


def test_an_error_that_waits_keeps_nothing_of_what_it_tells_alive() -> None:
    clock = ManualClock()
    flood = Flood(clock)
    for _ in range(2):
        try:
            raise RuntimeError("boom")
        except RuntimeError:
            failed = record("failed")
            failed.exc_info = sys.exc_info()
        flood.passes(failed, kind_of(failed))
    clock.now += WINDOW_S

    (held,) = flood.due()

    assert held.exc_info is None
    assert "RuntimeError: boom" in str(held.exc_text)


def test_whoever_invents_kinds_makes_no_more_lines_than_there_may_be_kinds() -> None:
    flood = Flood(ManualClock())

    lines = told(flood, *(record(f"kind {chr(0x4E00 + n)} %s", "x") for n in range(5_000)))

    assert len(lines) == KINDS_MAX + 1


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.7)), max_size=80))
def test_every_record_is_told_or_counted_in_a_line(steps: list[tuple[int, float]]) -> None:
    clock = ManualClock()
    flood = Flood(clock)
    written = 0
    for kind, pause in steps:
        written += len(told(flood, record(f"kind {'abcd'[kind]}: %s", "x")))
        clock.now += pause
        written += sum(1 + more for _, more in due(flood))
    written += sum(1 + it.__dict__["more"] for it in flood.due(all_=True))

    assert written == len(steps)
