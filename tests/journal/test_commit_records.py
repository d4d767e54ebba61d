"""What is recorded of commits: how many appends shared one, what was new of them, and how long."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.errors import LogUnavailableError
from gateway.journal.sqlite import open_log
from gateway.records.commits import CommitEnded
from tests.harness.events import FORMAT, new_event
from tests.harness.logs import full_disk
from tests.harness.loop import LoopThread


class Recorded:
    """An open log, and what it has recorded."""

    def __init__(self, loop: LoopThread, folder: Path) -> None:
        self.commits: list[CommitEnded] = []
        self._loop = loop
        self.log = loop.run(open_log(folder / "events.db", FORMAT, self.commits.append))

    def append(self, *ids: str) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*(self.log.journal.append(new_event(id_=it)) for it in ids))

        self._loop.run(all_at_once())

    def close(self) -> None:
        self._loop.run(self.log.close())


@pytest.fixture
def recorded(loop: LoopThread, tmp_path: Path) -> Iterator[Recorded]:
    made = Recorded(loop, tmp_path)
    yield made
    made.close()


def test_every_append_is_in_one_commit_and_what_was_known_is_not_stored(
    recorded: Recorded,
) -> None:
    recorded.append("a", "b", "c")
    recorded.append("b", "d")

    assert sum(it.events for it in recorded.commits) == 5
    assert sum(it.stored for it in recorded.commits) == 4
    assert sum(it.size_bytes for it in recorded.commits) > 0
    assert all(it.succeeded for it in recorded.commits)
    assert all(it.seconds > 0 and it.waited_s >= 0 for it in recorded.commits)


def test_a_commit_that_fails_is_recorded_as_that(recorded: Recorded) -> None:
    with full_disk(recorded.log), pytest.raises(LogUnavailableError):
        recorded.append(*(f"event {number}" for number in range(1_000)))

    failed = [it for it in recorded.commits if not it.succeeded]
    assert failed
    assert all(it.events > 0 and it.stored == it.size_bytes == 0 for it in failed)
