"""Turns: who reads next, who waits, and who is refused at once."""

import asyncio

import pytest

from gateway.journal.errors import LogBusyError
from gateway.journal.reading import Asker
from gateway.journal.sqlite.turns import Turns
from tests.harness.loop import LoopThread


class Queue:
    """Takes turns for named callers, in a loop of its own, and notes in what order they come."""

    def __init__(self, waiting_max: int | None = None) -> None:
        self.turns = Turns(1, waiting_max)
        self.came: list[str] = []

    async def ask(self, label: str, asker: Asker) -> "asyncio.Task[None]":
        async def take() -> None:
            await self.turns.take(asker)
            self.came.append(label)

        task = asyncio.create_task(take())
        await asyncio.sleep(0)
        return task

    async def serve(self, count: int) -> list[str]:
        for _ in range(count):
            self.turns.give_back()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return self.came


def test_who_has_had_fewer_turns_goes_first(loop: LoopThread) -> None:
    async def scene() -> list[str]:
        queue = Queue()
        await queue.ask("at work", Asker("a"))
        tasks = [await queue.ask(f"step {n}", Asker(f"p{n}", n)) for n in (7, 0, 3)]
        came = await queue.serve(3)
        await asyncio.gather(*tasks)
        return came

    assert loop.run(scene()) == ["at work", "step 0", "step 3", "step 7"]


def test_a_caller_with_many_calls_does_not_hold_up_one_with_few(loop: LoopThread) -> None:
    async def scene() -> list[str]:
        queue = Queue()
        await queue.ask("at work", Asker("many"))
        tasks = [await queue.ask(f"many {n}", Asker("many")) for n in range(50)]
        tasks.append(await queue.ask("few", Asker("few")))
        came = list(await queue.serve(3))
        await queue.serve(48)
        await asyncio.gather(*tasks)
        return came

    assert loop.run(scene()) == ["at work", "many 0", "few", "many 1"]


def test_beyond_the_bound_one_of_those_with_many_calls_is_refused(loop: LoopThread) -> None:
    async def scene() -> None:
        queue = Queue(waiting_max=4)
        await queue.ask("at work", Asker("many"))
        held = [await queue.ask(f"many {n}", Asker("many")) for n in range(4)]

        with pytest.raises(LogBusyError, match="4 calls already wait"):
            await queue.turns.take(Asker("many"))
        few = await queue.ask("few", Asker("few"))
        await asyncio.sleep(0)
        # It has taken the place of the last of the others.
        with pytest.raises(LogBusyError):
            await held[3]
        assert queue.turns.waiting == 4
        await queue.serve(4)
        await asyncio.gather(few, *held[:3])

    loop.run(scene())


def test_callers_who_leave_cost_nothing(loop: LoopThread) -> None:
    async def scene() -> tuple[int, int, list[str]]:
        queue = Queue(waiting_max=10)
        await queue.ask("at work", Asker("a"))
        for _ in range(500):
            gone = await queue.ask("gone", Asker("b", 9))
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        waiting, held = queue.turns.waiting, len(queue.turns._heap)
        queue.turns.give_back()
        # The turn of one who left at the very moment it was told goes to the next one.
        await queue.ask("at work", Asker("a"))
        told, last = [await queue.ask(name, Asker(name)) for name in ("told", "last")]
        queue.turns.give_back()
        told.cancel()
        await asyncio.gather(told, last, return_exceptions=True)
        return waiting, held, queue.came

    waiting, held, came = loop.run(scene())

    assert waiting == 0
    assert held <= 100
    assert came == ["at work", "at work", "last"]
