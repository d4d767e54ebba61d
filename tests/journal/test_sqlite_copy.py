"""A copy of another log's events: fed with their numbers, thrown away when it is of no use."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.errors import LogOpenError, LogUnavailableError, OvertakenError
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from gateway.journal.sqlite.copy import LogCopy, open_copy
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread

EPOCH, ANOTHER = b"8 bytes!", b"another!"


class Copies:
    """Opens copies in one file, one at a time; notes what is deleted at the log, too."""

    def __init__(self, loop: LoopThread, path: Path) -> None:
        self.loop, self.path = loop, path
        self.forgotten: list[int] = []
        self._open: LogCopy | None = None

    def open(self, epoch: bytes = EPOCH, *, anew: bool = False) -> LogCopy:
        self.close()
        self._open = self.loop.call(
            lambda: open_copy(self.path, FORMAT, epoch, self._forget, anew=anew)
        )
        return self._open

    def take(self, first: int, *ids: str) -> bool:
        events = [new_event(id_=it, received_at_us=first) for it in ids]
        return self.loop.run(self.copy.take(first, events))

    def numbers(self, after: int) -> list[int]:
        batch = self.loop.run(self.copy.index.read(after, EVERYTHING, 5_000, EVERYTHING))
        return [it.sequence for it in batch.frames]

    @property
    def copy(self) -> LogCopy:
        assert self._open is not None
        return self._open

    @property
    def span(self) -> Span:
        return self.copy.index.span

    def close(self) -> None:
        if self._open is not None:
            self.loop.run(self._open.close())
            self._open = None

    async def _forget(self, through: int) -> None:
        self.forgotten.append(through)


@pytest.fixture
def copies(loop: LoopThread, tmp_path: Path) -> Iterator[Copies]:
    made = Copies(loop, tmp_path / "index.db")
    yield made
    made.close()


def test_it_takes_events_with_their_numbers_and_tells_listeners(copies: Copies) -> None:
    told: list[int] = []
    copies.open().index.listen(lambda entries: told.extend(it.framed.sequence for it in entries))

    assert copies.take(1, "a", "b")
    assert copies.take(3, "c")

    assert (copies.span, told, copies.numbers(0)) == (Span(1, 3), [1, 2, 3], [1, 2, 3])
    copies.open()
    assert (copies.span, copies.copy.index.epoch) == (Span(1, 3), EPOCH)


def test_numbers_without_a_hole_are_all_that_it_takes(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a")

    for first in (1, 3):
        with pytest.raises(LogUnavailableError, match=f"{first} is not the next number"):
            copies.take(first, "b")
    assert copies.take(2, "b")


def test_of_events_with_an_id_that_is_held_it_takes_none(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a", "b")

    assert not copies.take(3, "c", "a")
    assert not copies.take(3, "c", "c")

    assert copies.span == Span(1, 2)
    assert copies.take(3, "c", "d")


@pytest.mark.parametrize("through", [1, 2_500, 4_000, 10_000])
def test_it_begins_after_any_number(copies: Copies, through: int) -> None:
    copies.open()
    for first in range(1, 4_001, 500):
        copies.take(first, *[f"e{first + it}" for it in range(500)])

    copies.loop.run(copies.copy.begin_after(through))

    newest = max(4_000, through)
    for _ in range(2):
        assert copies.span == Span(through + 1, newest)
        with pytest.raises(OvertakenError) as overtaken:
            copies.numbers(through - 1)
        assert overtaken.value.oldest == through + 1
        copies.open()
    assert copies.take(newest + 1, "e1", "later")
    assert copies.numbers(through) == [*range(through + 1, newest + 3)]
    # Further back it does not go.
    copies.loop.run(copies.copy.begin_after(0))
    assert copies.span == Span(through + 1, newest + 2)


def test_what_is_pruned_is_deleted_at_the_log_too(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a", "b")

    copies.loop.run(copies.copy.index.prune(Retention(1, 2**40), now=1_000))

    assert (copies.span, copies.forgotten) == (Span(3, 2), [2])


def test_a_copy_of_another_log_is_thrown_away(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a")

    copies.open(ANOTHER)

    assert (copies.span, copies.copy.index.epoch) == (Span(1, 0), ANOTHER)
    assert copies.take(1, "b")


def test_a_copy_can_be_made_anew(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a")

    copies.open(anew=True)

    assert copies.span == Span(1, 0)
    copies.take(1, "b")
    copies.open()
    assert copies.span == Span(1, 1)


def test_a_damaged_copy_is_made_anew(copies: Copies) -> None:
    copies.open()
    copies.take(1, *[f"e{it}" for it in range(500)])
    copies.close()
    with copies.path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * 50_000)

    copies.open()

    assert copies.span == Span(1, 0)
    assert copies.take(1, "a")


def test_a_copy_of_another_release_is_made_anew(copies: Copies) -> None:
    copies.open()
    copies.take(1, "a")
    copies.close()
    with closing(sqlite3.connect(copies.path)) as outside:
        outside.execute("PRAGMA user_version = 99")

    copies.open()

    assert copies.span == Span(1, 0)


@pytest.mark.parametrize("anew", [False, True])
def test_a_log_is_never_thrown_away(copies: Copies, anew: bool) -> None:
    log = copies.loop.run(open_log(copies.path, FORMAT))
    copies.loop.run(log.journal.append(new_event()))
    copies.loop.run(log.close())

    with pytest.raises(LogOpenError, match="an event log, not an index"):
        copies.open(anew=anew)

    log = copies.loop.run(open_log(copies.path, FORMAT))
    assert log.index.span == Span(1, 1)
    copies.loop.run(log.close())


@pytest.mark.parametrize("content", [b"notes, " * 1_000, b"SQLite format 3\0" + b"x" * 5_000])
def test_no_other_file_is_thrown_away(copies: Copies, content: bytes) -> None:
    copies.path.write_bytes(content)

    with pytest.raises(LogOpenError, match=r"index\.db"):
        copies.open(anew=True)

    assert copies.path.read_bytes() == content


def test_a_copy_is_not_taken_for_a_log(copies: Copies) -> None:
    copies.open()
    copies.close()

    with pytest.raises(LogOpenError, match=r"the index of a log that is kept elsewhere"):
        copies.loop.run(open_log(copies.path, FORMAT))
