"""Damaged files: whatever is damaged is said, and what to do."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.journal.errors import LogError, LogUnavailableError, OvertakenError
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import NOBODY, Stretch, TimeBounds
from gateway.journal.sqlite.schema import PAGE_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import choosing, new_event
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, loop: LoopThread) -> Path:
    """A closed log of some hundred pages, small events and large ones."""
    path = tmp_path_factory.mktemp("whole") / "events.db"
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    log.append(*[new_event(id_=f"e{n}", conference_id=f"c{n % 7}") for n in range(3_000)])
    log.append(*[new_event(raw=bytes(30_000)) for _ in range(10)])
    log.close()
    return path


def use_all_of(log: OpenLog) -> list[str]:
    """Do everything that a log is asked for; returns what was said of what failed."""
    index, checkpoints = log.index, log.checkpoints
    said = []
    for asked in (
        lambda: index.read(index.span.oldest - 1, EVERYTHING, 10_000, EVERYTHING),
        lambda: index.read(index.span.oldest - 1, choosing(conference_id=["c3"]), 100, EVERYTHING),
        lambda: index.recent(10_000, 2**30),
        lambda: index.page(
            EVERYTHING, TimeBounds(), Stretch(0, 10_000), 10_000, EVERYTHING, newest_first=True
        ),
        lambda: index.raw(range(1, 3_010), NOBODY),
        lambda: index.find("e7", EVERYTHING),
        lambda: index.first_received_since(1),
        index.measures,
        lambda: log.journal.append(new_event()),
        lambda: log.journal.append(new_event(id_="e7")),
        lambda: checkpoints.set("it", b"5"),
        lambda: checkpoints.get("it"),
        log.pruning,
    ):
        try:
            log.run(asked())
        except (LogUnavailableError, OvertakenError) as error:
            said.append(str(error))
    return said


damages = st.lists(
    st.tuples(st.integers(0, 2**40), st.binary(min_size=1, max_size=200)), min_size=1, max_size=5
)


@pytest.mark.slow
@given(damages, st.booleans())
@example([(at, b"\xff" * 60) for at in range(0, 200 * PAGE_BYTES, PAGE_BYTES)], False)
@example([(at, b"\xff" * 60) for at in range(PAGE_BYTES, 200 * PAGE_BYTES, PAGE_BYTES)], True)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_damaged_is_said_and_never_an_unforeseen_error(
    loop: LoopThread,
    tmp_path: Path,
    whole: Path,
    damage: list[tuple[int, bytes]],
    while_open: bool,
) -> None:
    path = Path(mkdtemp(dir=tmp_path)) / "events.db"
    shutil.copyfile(whole, path)
    log = OpenLog(loop, path, ManualClock(), PLENTY) if while_open else None
    with path.open("r+b") as file:
        size = path.stat().st_size
        for at, garbage in damage:
            file.seek(at % size)
            file.write(garbage[: size - at % size])
    try:
        log = log or OpenLog(loop, path, ManualClock(), PLENTY)
    except LogError as error:
        what_to_do = ("move all of its files away", "name another file")
        assert any(text in str(error) for text in what_to_do)  # noqa: PT017
        return
    said = use_all_of(log)
    # An index that has lost an event lets its number or id be given again.
    known = ("damaged", "another program has written")
    assert [it for it in said if not any(text in it for text in known)] == []
    log.close()


@pytest.mark.slow
def test_a_log_that_is_damaged_while_it_is_read_says_so(
    loop: LoopThread, tmp_path: Path, whole: Path
) -> None:
    path = tmp_path / "events.db"
    shutil.copyfile(whole, path)
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    with path.open("r+b") as file:
        for page in range(5, path.stat().st_size // PAGE_BYTES):
            file.seek(page * PAGE_BYTES)
            file.write(os.urandom(PAGE_BYTES))

    with pytest.raises(
        LogUnavailableError, match=r"it is damaged\. Stop the gateway, then restore"
    ):
        log.read()
    log.close()
