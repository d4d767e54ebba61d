"""A process that makes calls from Python when it is told to.

Run as `python -m bench.worker KIND ADDRESS`. It reads orders and writes reports, a line of JSON
each, and ends with its input.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

import uvloop

from bench.callers.caller import Caller
from bench.calls import CALLS, UnaryCall
from bench.processes import Process, Processes


@dataclass(frozen=True, slots=True)
class Order:
    """Make `calls` calls, `concurrency` at a time."""

    call: str
    calls: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Report:
    """How long it took in all, and each call by itself, in seconds."""

    seconds: float
    durations: list[float]


class Worker:
    """A worker, seen from the bench."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    def start(cls, processes: Processes, kind: str, address: str, *, measured: bool) -> "Worker":
        """Start a worker that calls an address (a URL, or for gRPC host:port)."""
        return cls(processes.start_module("bench.worker", kind, address, measured=measured))

    def work(self, order: Order) -> Report:
        """Have an order carried out. Raises ProcessFailedError if a call fails."""
        return Report(**json.loads(self.process.ask(json.dumps(asdict(order)))))


def _caller(kind: str) -> Callable[[str], Caller]:
    # Imported here: what a worker does not use must not slow it down.
    match kind:
        case "sdk":
            from bench.callers.sdk import SdkCaller  # noqa: PLC0415

            return SdkCaller
        case "transport":
            from bench.callers.transport import TransportCaller  # noqa: PLC0415

            return TransportCaller
        case "rpc":
            from bench.callers.rpc import RpcCaller  # noqa: PLC0415

            return RpcCaller
    raise ValueError(f"there is no caller of kind {kind!r}")


async def _carry_out(caller: Caller, order: Order) -> Report:
    call = CALLS[order.call]
    durations: list[float] = []
    started = perf_counter()
    async with asyncio.TaskGroup() as group:
        for index in range(order.concurrency):
            share = len(range(index, order.calls, order.concurrency))
            group.create_task(_one_after_another(caller, call, share, durations))
    return Report(perf_counter() - started, durations)


async def _one_after_another(
    caller: Caller, call: UnaryCall, calls: int, durations: list[float]
) -> None:
    for _ in range(calls):
        started = perf_counter()
        await caller.call(call)
        durations.append(perf_counter() - started)


async def _main(kind: str, address: str) -> None:
    caller = _caller(kind)(address)
    while line := await asyncio.to_thread(sys.stdin.readline):
        report = await _carry_out(caller, Order(**json.loads(line)))
        print(json.dumps(asdict(report)), flush=True)
    await caller.close()


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
