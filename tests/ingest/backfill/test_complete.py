"""The period for which the log is complete: remembered by a checkpoint, and never guessed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ingest.backfill.complete import Complete, Completeness
from gateway.journal.errors import LogOpenError, LogUnavailableError
from tests.harness.logs import OpenLog
from tests.harness.loop import LoopThread


@pytest.fixture
def log(loop: LoopThread, tmp_path: Path) -> Iterator[OpenLog]:
    log = OpenLog(loop, tmp_path / "events.db")
    yield log
    log.close()


def test_a_log_of_which_nobody_has_looked_is_not_complete(log: OpenLog) -> None:
    assert log.run(Completeness.begin(log.log)).complete is None


def test_marks_extend_the_period_and_outlive_the_process(log: OpenLog) -> None:
    completeness = log.run(Completeness.begin(log.log))
    for until_us in (5, 9, 7):
        log.run(completeness.mark(until_us))
    log.reopen()

    assert completeness.complete == Complete(5, 9)
    assert log.run(Completeness.begin(log.log)).complete == Complete(5, 9)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"since_us": 1, "until_us": 2}',
        b'{"version": 2, "since_us": 1, "until_us": 2}',
        b'{"version": 1, "since_us": "1", "until_us": 2}',
        b'{"version": 1, "since_us": 1}',
    ],
)
def test_a_checkpoint_that_cannot_be_read_keeps_the_log_from_being_opened(
    log: OpenLog, value: bytes
) -> None:
    log.run(log.checkpoints.set("complete", value))

    with pytest.raises(LogOpenError, match="for which period it is complete"):
        log.run(Completeness.begin(log.log))


def test_of_a_log_that_has_begun_anew_nothing_is_known(log: OpenLog) -> None:
    epoch = [b"1st log!"]
    completeness = Completeness(log.checkpoints, lambda: epoch[0])
    log.run(completeness.reload())
    log.run(completeness.mark(5))

    epoch[0] = b"2nd log!"

    assert completeness.complete is None
    # What was looked at was the log that was.
    with pytest.raises(LogUnavailableError):
        log.run(completeness.mark(9))
    log.run(log.checkpoints.set("complete", b'{"version": 1, "since_us": 1, "until_us": 2}'))
    log.run(completeness.reload())
    assert completeness.complete == Complete(1, 2)
