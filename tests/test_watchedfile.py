"""Files that change while the gateway runs."""

import os
from pathlib import Path

import pytest

from gateway.watchedfile import POLL_S, WatchedFile, contents_of
from tests.harness.loop import LoopThread


def number(content: bytes) -> int:
    try:
        return int(content)
    except ValueError:
        raise ValueError(f"is no number: {len(content)} bytes") from None


class Watch:
    """A watched file of numbers, and what came of it."""

    def __init__(self, loop: LoopThread, *paths: Path, current: object = None) -> None:
        self._loop = loop
        self.taken: list[object] = []
        self.refused: list[str] = []
        self._file = WatchedFile[object](
            paths,
            lambda *contents: tuple(map(number, contents)) if contents[1:] else number(*contents),
            self.taken.append,
            self.refused.append,
            current,
        )

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self._loop.run(self._file.look())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1")
    return path


def test_a_change_is_taken_once(loop: LoopThread, path: Path) -> None:
    watch = Watch(loop, path, current=1)
    watch.look()
    path.write_text("2")
    watch.look(5)
    path.write_text("1")
    watch.look(5)

    assert (watch.taken, watch.refused) == ([2, 1], [])


def test_a_file_that_is_being_written_is_not_read_half(loop: LoopThread, path: Path) -> None:
    watch = Watch(loop, path, current=1)
    for text in ("", "12", "123", "1234"):
        path.write_text(text)
        watch.look(1)
    assert (watch.taken, watch.refused) == ([], [])

    watch.look(1)
    assert watch.taken == [1234]


def test_what_cannot_be_used_is_refused_once_and_the_old_goes_on(
    loop: LoopThread, path: Path
) -> None:
    watch = Watch(loop, path, current=1)
    path.write_text("one")
    watch.look(5)
    path.write_text("1")
    watch.look(5)
    path.unlink()
    watch.look(5)
    path.write_text("2")
    watch.look(5)

    assert watch.refused == [
        "is no number: 3 bytes",
        f"{path} cannot be read: No such file or directory",
    ]
    assert watch.taken == [2]


def test_a_file_is_no_larger_when_it_changes_than_it_may_be_at_first(
    loop: LoopThread, path: Path
) -> None:
    taken: list[int] = []
    refused: list[str] = []
    file = WatchedFile((path,), number, taken.append, refused.append, 1, bytes_max=4)
    path.write_text("22222")
    for _ in range(5):
        loop.run(file.look())

    assert (taken, refused) == ([], [f"{path} has more than 4 bytes"])


def test_who_heard_of_a_mistake_hears_of_its_end(loop: LoopThread, path: Path) -> None:
    heard: list[object] = []
    file = WatchedFile(
        (path,), number, heard.append, heard.append, 1, restored=lambda: heard.append("restored")
    )
    for text in ("1", "one", "1", "1 ", "two", "2"):
        path.write_text(text)
        for _ in range(3):
            loop.run(file.look())

    assert heard == ["is no number: 3 bytes", "restored", "is no number: 3 bytes", 2]


def test_the_same_value_in_other_bytes_is_no_change(loop: LoopThread, path: Path) -> None:
    watch = Watch(loop, path, current=1)
    path.write_text(" 1\n")
    watch.look(5)

    assert (watch.taken, watch.refused) == ([], [])


def test_a_change_from_before_the_first_look_is_taken(loop: LoopThread, path: Path) -> None:
    watch = Watch(loop, path, current=0)
    watch.look()

    assert watch.taken == [1]


def test_a_swapped_link_is_a_change_even_if_nothing_else_tells(
    loop: LoopThread, tmp_path: Path
) -> None:
    """As Kubernetes does it: `number` -> `..data/number`, `..data` -> `..2026_1`."""
    for text in ("1", "2"):
        (tmp_path / f"..2026_{text}").mkdir()
        (tmp_path / f"..2026_{text}" / "number").write_text(text)
        os.utime(tmp_path / f"..2026_{text}" / "number", ns=(0, 0))
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "number").symlink_to("..data/number")
    watch = Watch(loop, tmp_path / "number", current=1)
    watch.look()

    (tmp_path / "..data_tmp").symlink_to("..2026_2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    watch.look()

    assert watch.taken == [2]


def test_files_that_belong_together_are_one_value(loop: LoopThread, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    watch = Watch(loop, one, other)
    watch.look()
    one.write_text("3")
    watch.look(1)
    other.write_text("4")
    watch.look()
    other.write_text("four")
    watch.look()

    assert watch.taken == [(1, 2), (3, 4)]
    assert watch.refused == ["is no number: 4 bytes"]


def test_it_looks_as_often_as_it_says(loop: LoopThread, path: Path) -> None:
    slept: list[float] = []
    taken: list[int] = []
    watched = WatchedFile((path,), number, taken.append, lambda _: None)

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Enough

    with pytest.raises(Enough):
        loop.run(watched.run(sleep))

    assert slept == [POLL_S] * 3
    assert taken == [1]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_and_a_folder_are_no_files_and_hold_nobody(pipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^is not a file$"):
        contents_of(pipe)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ValueError, match=r"^cannot be read: Is a directory$"):
        contents_of(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_may_be_as_large_as_it_says(path: Path) -> None:
    path.write_bytes(b"12345")

    assert contents_of(path, bytes_max=5) == b"12345"
    with pytest.raises(ValueError, match=r"^has more than 4 bytes$"):
        contents_of(path, bytes_max=4)
    with pytest.raises(ValueError, match=r"^is not a file$"):
        contents_of(Path("/dev/zero"))
