"""Memory that is given back, and how much there may be."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.bytebudget import BUFFERED_BYTES_MAX
from gateway.memory import (
    GIVE_BACK_S,
    GROWN_BYTES,
    MemoryUpkeep,
    buffers_within,
    memory_limit,
)
from tests.harness.clock import ManualClock
from tests.harness.loop import LoopThread
from tests.harness.process import environment

MIB = 2**20


class Grown:
    """A process that has grown, whose objects take a second to walk over for each million."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.size = 100 * MIB
        self.objects = 1_000_000
        self.collected: list[float] = []
        self.trimmed: list[float] = []
        self.upkeep = MemoryUpkeep(
            lambda: self.size, self._collect, self._trim, lambda: self.objects, self.clock
        )

    def _collect(self) -> None:
        self.collected.append(self.clock.now)
        self.clock.advance(self.objects / 1_000_000)

    def _trim(self) -> None:
        self.trimmed.append(self.clock.now)


def test_memory_is_looked_for_only_when_the_process_has_grown(loop: LoopThread) -> None:
    process = Grown()

    loop.run(process.upkeep.look())
    assert process.trimmed == []
    process.size += GROWN_BYTES
    loop.run(process.upkeep.look())
    loop.run(process.upkeep.look())
    assert len(process.trimmed) == 1
    process.clock.advance(GIVE_BACK_S)
    loop.run(process.upkeep.look())
    assert len(process.trimmed) == 2


def test_looking_for_it_takes_a_small_share_of_the_time(loop: LoopThread) -> None:
    process = Grown()
    process.size += GROWN_BYTES
    for _ in range(1_000):
        loop.run(process.upkeep.look())
        process.clock.advance(1)

    assert len(process.collected) <= 3
    # Free memory is given back all the same.
    assert len(process.trimmed) > 1_000 / GIVE_BACK_S / 2


def test_a_pause_that_was_long_for_the_objects_of_a_flood_is_not_waited_for_after_it(
    loop: LoopThread,
) -> None:
    process = Grown()
    process.size += GROWN_BYTES
    loop.run(process.upkeep.look())
    process.objects = 10_000

    process.clock.advance(GIVE_BACK_S)
    loop.run(process.upkeep.look())

    assert len(process.collected) == 2


FLOOD = """
import asyncio
from gateway.memory import MemoryUpkeep, resident_bytes
from gateway.process import tune_interpreter
tune_interpreter()
upkeep = MemoryUpkeep.of_this_process()
before = resident_bytes()
class Circle:
    def __init__(self):
        self.itself, self.data = self, bytearray(20_000)
held = [Circle() for _ in range(8_000)]
grown = resident_bytes() - before
del held
asyncio.run(upkeep.look())
print(grown, resident_bytes() - before)
"""


def test_what_a_flood_of_circles_has_left_is_given_back() -> None:
    result = subprocess.run(
        [sys.executable, "-c", FLOOD],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    grown, left = map(int, result.stdout.split())
    assert grown > 128 * MIB
    assert left < 16 * MIB


@pytest.mark.parametrize(
    ("groups", "own", "limit"),
    [
        ({"a/memory.max": "max", "a/b/memory.max": "268435456"}, "0::/a/b\n", 256 * MIB),
        ({"a/memory.max": "100", "a/b/memory.max": "200"}, "0::/a/b\n", 100),
        ({"memory.max": "300"}, "0::/as/the/host/sees/it\n", 300),
        ({"memory/a/memory.limit_in_bytes": "400"}, "5:cpu:/x\n4:memory:/a\n", 400),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "4:memory:/\n", None),
        ({}, "0::/\n", None),
    ],
)
def test_the_least_limit_on_memory_counts(
    tmp_path: Path, groups: dict[str, str], own: str, limit: int | None
) -> None:
    for name, text in groups.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)

    assert memory_limit(tmp_path, tmp_path / "own") == limit


def test_buffers_take_a_quarter_of_a_small_container() -> None:
    assert buffers_within(None) == buffers_within(2**40) == BUFFERED_BYTES_MAX
    assert buffers_within(256 * MIB) == 64 * MIB
