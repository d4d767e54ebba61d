"""Threads that search: they leave the processors to everybody else."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import TimeBounds
from gateway.journal.sqlite import open_log, reader
from gateway.journal.sqlite.schema import open_for_reading
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread
from tests.harness.needs import on_linux


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 1), (3, 2), (64, 2)])
def test_searches_leave_a_processor_free(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "processors", lambda: processors)
    assert reader.searchers() == threads


@on_linux
def test_searches_give_way_and_reads_for_streams_do_not(
    tmp_path: Path, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the names of threads, without their numbers.
    priorities: dict[str, int] = {}

    def note(path: Path) -> sqlite3.Connection:
        name = threading.current_thread().name.rpartition("_")[0]
        priorities[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return open_for_reading(path)

    monkeypatch.setattr(reader, "open_for_reading", note)

    async def read() -> None:
        log = await open_log(tmp_path / "events.db", FORMAT)
        await log.journal.append(new_event())
        stretch = await log.index.stretch(TimeBounds())
        await log.index.page(EVERYTHING, TimeBounds(), stretch, 1, EVERYTHING, newest_first=False)
        await log.index.read(0, EVERYTHING, 1, EVERYTHING)
        await log.close()

    loop.run(read())

    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert priorities["event-log-searcher"] == min(own + 10, 19)
    assert priorities["event-log-follower"] == own
