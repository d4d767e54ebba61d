"""Orders from the bench to its helper processes: a line of JSON each, and a line back.

What a helper finds wrong comes back as a text and is raised in the bench as CheckError.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from bench.contestants.contestant import CheckError
from bench.processes import Process, Processes

Order: TypeAlias = Callable[..., Awaitable[Any]]


class Remote:
    """A helper process, seen from the bench."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    def start(cls, processes: Processes, module: str) -> "Remote":
        """Start a module that answers orders, on the core of the rest."""
        return cls(processes.start_module(module, measured=False))

    def send(self, name: str, **arguments: Any) -> None:
        """Give an order without waiting for the answer; `receive` it before the next."""
        self.process.write_line(json.dumps([name, arguments]))

    def receive(self) -> Any:
        """Return the answer to an order. Raises CheckError or ProcessFailedError."""
        answer, error = json.loads(self.process.read_line())
        if error is not None:
            raise CheckError(error)
        return answer

    def ask(self, name: str, **arguments: Any) -> Any:
        """Give an order and return its answer. Raises CheckError or ProcessFailedError."""
        self.send(name, **arguments)
        return self.receive()


async def _go_first() -> bool:
    """Have this process go before all others; false if the system or its rights do not allow it.

    What is measured and who measures share a machine: for how long a measuring process waits for a
    core would count as a delay of the feed. Niceness would not do: Linux shares cores out between
    sessions first (sched(7), autogroups).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


async def answer_orders(orders: Mapping[str, Order]) -> None:
    """In a helper process: carry out orders, and `go_first`, until its input ends."""
    orders = {"go_first": _go_first, **orders}
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, arguments = json.loads(line)
        answer, error = None, None
        try:
            answer = await orders[name](**arguments)
        except CheckError as failure:
            error = str(failure)
        print(json.dumps([answer, error]), flush=True)
