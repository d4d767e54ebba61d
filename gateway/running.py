"""How a command runs: on uvloop, until it is done or a signal comes."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end; returns what comes out."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def signalled() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one exits at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_signal(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stopped


async def ended(task: asyncio.Task[Any], stopped: asyncio.Event) -> bool:
    """Wait for a task to end; returns whether it did before `stopped`, which cancels it."""
    signal_ = asyncio.create_task(stopped.wait())
    await asyncio.wait((signal_, task), return_when=asyncio.FIRST_COMPLETED)
    signal_.cancel()
    if task.done():
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def until_signalled(work: Coroutine[Any, Any, Any]) -> int:
    """Work until a signal comes; returns the work's exit code."""
    task = asyncio.create_task(work)
    return int(task.result() or 0) if await ended(task, signalled()) else 0
