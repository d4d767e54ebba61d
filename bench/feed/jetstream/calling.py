"""The process that calls commands and queries of several gateways in turn, by gRPC's own client.

Run as `python -m bench.feed.jetstream.calling`; it answers orders (see `remote`).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import grpc
import uvloop

from bench.calls import GET, JOIN, UnaryCall
from bench.contestants.contestant import CheckError
from bench.feed.remote import answer_orders

# For how long a call is good, in seconds.
_DEADLINE_S = 5.0

# What a client may be told that has asked for nothing wrong: try again.
RETRYABLE = frozenset({grpc.StatusCode.UNAVAILABLE})


class Calling:
    """Calls at a rate, whether earlier ones have come back or not."""

    def __init__(self) -> None:
        self._channels: list[grpc.aio.Channel] = []
        self._ends: Counter[str] = Counter()
        self._failures: list[CheckError] = []
        self._calling: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self, ports: Sequence[int], rate: float) -> None:
        """Call until `stop`."""
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 200)]
        self._channels = [grpc.aio.insecure_channel(f"127.0.0.1:{it}", options) for it in ports]
        self._calling = asyncio.create_task(self._call(1 / rate))

    async def stop(self) -> dict[str, int]:
        """Call no more; return how calls ended. Fails if one should not have ended so."""
        assert self._calling is not None
        self._calling.cancel()
        await asyncio.gather(*self._under_way)
        for channel in self._channels:
            await channel.close()
        if self._failures:
            raise self._failures[0]
        return dict(self._ends)

    async def _call(self, pause_s: float) -> None:
        number = 0
        while True:
            number += 1
            channel = self._channels[number % len(self._channels)]
            task = asyncio.create_task(self._one(channel, (JOIN, GET)[number // 3 % 2]))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(pause_s)

    async def _one(self, channel: grpc.aio.Channel, call: UnaryCall) -> None:
        invoke = channel.unary_unary(
            call.rpc_path,
            type(call.request).SerializeToString,
            call.response_class.FromString,
        )
        try:
            await invoke(call.request, timeout=_DEADLINE_S)
            self._ends["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self._ends[error.code().name] += 1
            if error.code() not in RETRYABLE:
                self._failures.append(CheckError(f"{call.name} failed: {error.details()}"))


async def _main() -> None:
    calling = Calling()
    await answer_orders({"start": calling.start, "stop": calling.stop})


if __name__ == "__main__":
    uvloop.run(_main())
