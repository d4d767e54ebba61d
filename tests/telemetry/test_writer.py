"""Lines that nobody reads: they wait in memory up to a bound, and are counted beyond it."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from gateway.telemetry.writer import LATE_BYTES, WAITING_BYTES_MAX, LineWriter

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    source, sink = os.pipe()
    yield source, sink
    os.close(sink)
    os.close(source)


def lost(count: int) -> bytes:
    return b"lost %d\n" % count


def read_lines(source: int, until: bytes) -> list[bytes]:
    data = b""
    while until not in data:
        data += os.read(source, 65_536)
    return data.splitlines()


def test_lines_are_written_in_their_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    for n in range(1_000):
        writer.put(b"line %d\n" % n)

    assert read_lines(pipe[0], b"line 999\n") == [b"line %d" % n for n in range(1_000)]
    writer.close(5)
    assert writer.dropped == 0
    assert writer.is_read


def test_lines_that_come_together_are_written_together_each_whole() -> None:
    # Of which one `write` makes one datagram.
    source, sink = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with source, sink:
        writer = LineWriter(sink.fileno(), lost)
        lines = [b"line %d\n" % n for n in range(800)] + [b"x" * 5_000 + b"\n", b"last\n"]
        for line in lines:
            writer.put(line)
        written = b""
        pieces = []
        while not written.endswith(b"last\n"):
            pieces.append(source.recv(65_536))
            written += pieces[-1]
        writer.close(5)

    assert written == b"".join(lines)
    assert len(pieces) < 10
    assert all(it.endswith(b"\n") for it in pieces if len(it) < 4_096)
    assert writer.dropped == 0


def test_who_logs_never_waits_and_every_line_is_written_or_counted(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    line = b"x" * 999 + b"\n"
    count = 4 * WAITING_BYTES_MAX // len(line)

    def log() -> None:
        for _ in range(count):
            writer.put(line)

    # A writer that waits makes this never end.
    logging = threading.Thread(target=log, daemon=True)
    logging.start()
    logging.join(20)
    assert not logging.is_alive()
    assert writer.dropped > count / 2

    lines = read_lines(pipe[0], b"lost")

    (told,) = [int(match[1]) for it in lines if (match := re.fullmatch(rb"lost (\d+)", it))]
    assert told == writer.dropped
    assert lines.count(line[:-1]) + told == count
    writer.put(b"again\n")
    assert read_lines(pipe[0], b"again\n")[-1] == b"again"
    writer.close(5)


def test_the_end_does_not_wait_for_a_reader_that_does_not_read(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    for _ in range(100):
        writer.put(b"x" * 4_000 + b"\n")
    began = monotonic()

    writer.close(0.1)

    assert monotonic() - began < 10
    assert not writer.is_read
    assert writer.dropped > 0


def test_what_waits_is_written_at_the_end_if_it_is_read(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    read: list[bytes] = []
    reading = threading.Thread(target=lambda: read.extend(read_lines(pipe[0], b"last\n")))
    for _ in range(200):
        writer.put(b"x" * 4_000 + b"\n")
    writer.put(b"last\n")
    reading.start()

    writer.close(20)

    reading.join(20)
    assert len(read) == 201


def test_a_reader_that_has_gone_is_no_end() -> None:
    source, sink = os.pipe()
    os.close(source)
    writer = LineWriter(sink, lost)
    writer.put(b"nobody\n")

    writer.close(5)

    assert writer.dropped == 1
    os.close(sink)


def test_a_full_disk_is_told_of_when_there_is_room_again(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    writer = LineWriter(full, lost)
    for _ in range(3):
        writer.put(b"no room\n")
    while writer.dropped < 3:
        pass
    os.dup2(file, full)

    writer.put(b"room\n")
    writer.close(5)

    assert (tmp_path / "log").read_bytes() == b"room\nlost 3\n"
    os.close(full)
    os.close(file)


def test_lines_that_become_due_are_asked_for_after_a_reminder(pipe: Pipe) -> None:
    answers = [[b"due 1\n"], [], [b"due 2\n"], None]
    due = iter(answers)
    writer = LineWriter(pipe[1], lost, lambda: next(due, None), every_s=0.001)

    writer.remind()

    assert read_lines(pipe[0], b"due 2\n") == [b"due 1", b"due 2"]
    writer.close(5)


def test_lines_that_are_held_for_later_are_asked_for_at_the_end_after_all_others(
    pipe: Pipe,
) -> None:
    held: list[bytes] = []
    due = iter([held])
    writer = LineWriter(pipe[1], lost, lambda: next(due, None))

    writer.put_late(lambda: held.append(b"held\n"))
    writer.put(b"put\n")
    writer.close(5)

    assert os.read(pipe[0], 65_536) == b"put\nheld\n"


def test_lines_that_the_thread_is_to_tell_have_their_place_among_the_others(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    tellers: list[str] = []

    def tell(n: int) -> None:
        tellers.append(threading.current_thread().name)
        writer.put(b"line %d\n" % n)
        writer.put(b"line %d\n" % (n + 1))

    for n in range(0, 1_200, 4):
        writer.put_late(partial(tell, n))
        writer.put_late(lambda: None)
        writer.put(b"line %d\n" % (n + 2))
        writer.put(b"line %d\n" % (n + 3))

    assert read_lines(pipe[0], b"line 1199\n") == [b"line %d" % n for n in range(1_200)]
    writer.close(5)
    assert set(tellers) == {"log"}
    assert len(tellers) == 300


def test_lines_that_are_to_be_told_take_up_room_and_are_counted_if_there_is_none(
    pipe: Pipe,
) -> None:
    writer = LineWriter(pipe[1], lost)
    numbers: list[int] = []

    def tell(n: int) -> None:
        numbers.append(n)
        writer.put(b"%d " % n + b"x" * 700 + b"\n")

    count = 4 * WAITING_BYTES_MAX // LATE_BYTES
    for n in range(count):
        writer.put_late(partial(tell, n))
    assert writer.dropped > count / 2

    lines = read_lines(pipe[0], b"lost")

    (said,) = [int(match[1]) for it in lines if (match := re.fullmatch(rb"lost (\d+)", it))]
    assert said == writer.dropped
    assert [int(it.split()[0]) for it in lines if it.endswith(b"x")] == numbers == sorted(numbers)
    assert len(numbers) + said == count
    # What was told and written takes up no room any more.
    for n in range(WAITING_BYTES_MAX // LATE_BYTES - 1):
        writer.put_late(partial(tell, n))
    writer.put(b"again\n")
    assert read_lines(pipe[0], b"again\n")[-1] == b"again"
    writer.close(5)
    assert writer.dropped == said


def test_lines_that_are_to_be_told_are_told_and_written_at_the_end(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], lost)
    read: list[bytes] = []
    reading = threading.Thread(target=lambda: read.extend(read_lines(pipe[0], b"last\n")))
    for _ in range(200):
        writer.put_late(lambda: writer.put(b"x" * 4_000 + b"\n"))
    writer.put_late(lambda: writer.put(b"last\n"))
    reading.start()

    writer.close(20)

    reading.join(20)
    assert len(read) == 201
