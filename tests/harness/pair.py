"""Two gateways, and clients of both that load the published service configs."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from conferencing.v1.conference_service_pb2 import EndConferenceRequest
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.readiness import ready, until

FOLDER = Path(__file__).parents[2] / "docs" / "service-config"
GET = GetQueueRequest(queue_name="q")
HELD = EndConferenceRequest(conference_id="held")
QUEUE = Answer(200, {"data": {"record_type": "queue", "name": "q"}})

# So many that each gateway has some, whoever is first.
_HELD_CALLS = 8


@dataclass
class Pair:
    """Two gateways, each before a provider of its own, and channels to both."""

    gateways: list[RunningGateway]
    providers: list[RecordingProvider]
    _channels: list[grpc.Channel] = field(default_factory=list)

    def channel(
        self,
        config: str,
        change: Callable[[dict[str, Any]], Any] = lambda config: None,
        *,
        retries: bool = True,
    ) -> grpc.Channel:
        """A channel with a published config, as far as it is not changed."""
        loaded = json.loads((FOLDER / config).read_text())
        change(loaded)
        addresses = ",".join(str(it.app.grpc_address) for it in self.gateways)
        channel = grpc.insecure_channel(
            f"ipv4:{addresses}",
            options=[
                ("grpc.service_config", json.dumps(loaded)),
                ("grpc.enable_retries", int(retries)),
            ],
        )
        self._channels.append(channel)
        return channel

    def taken(self) -> list[int]:
        """How many requests of callers each provider has got since the last time: no probes."""
        counts = [sum(not _is_probe(it) for it in its.requests) for its in self.providers]
        for it in self.providers:
            it.requests.clear()
        return counts

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


def _is_probe(request: SentRequest) -> bool:
    """Whether a gateway asked for itself, as it does while something is wrong: for its queues."""
    return request.path.endswith("/queues")


def without_health(config: dict[str, Any]) -> None:
    del config["healthCheckConfig"]


def spread(pair: Pair, channel: grpc.Channel, calls: int = 20) -> list[int]:
    """Make calls, which must all succeed, and return how many each provider has got."""
    queues = QueueServiceStub(channel)
    for _ in range(calls):
        queues.GetQueue(GET)
    return pair.taken()


def both(pair: Pair, channel: grpc.Channel) -> None:
    """Wait until a channel is connected to both gateways."""
    until(lambda: all(spread(pair, channel, 4)))


@contextmanager
def draining(pair: Pair, hold: Callable[[], object], loop: LoopThread) -> Iterator[None]:
    """Let the first gateway shut down while calls keep a client's connection to it open.

    `hold` begins a call of `HELD`, which ends when the context does.
    """
    with ExitStack() as stack:
        for provider in pair.providers:
            stack.enter_context(provider.hanging(QUEUE, lambda request: "held" in request.path))
        held = [hold() for _ in range(_HELD_CALLS)]
        until(lambda: sum(len(it.requests) for it in pair.providers) == _HELD_CALLS)
        assert all(pair.taken())
        end = asyncio.run_coroutine_threadsafe(pair.gateways[0].app.stop(), loop.loop)
        until(lambda: "shutting down" in ready(pair.gateways[0])[1])
        yield
    end.result(20)
    # Until here: a call that nobody has any more is cancelled.
    del held
