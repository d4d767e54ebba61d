"""Idle streams: what the gateway's memory grows by for each."""

import time
from dataclasses import dataclass

from bench.feed.stage import Stage

STREAMS = 2_000

# Opened and closed before: what the process needs for the first streams only is not counted.
_WARM_UP_STREAMS = 500

# How long freed and shared memory gets to settle, in seconds.
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Memory of the whole process, in bytes, without streams and with all of them."""

    before: int
    after: int

    @property
    def kib_per_stream(self) -> float:
        """What a stream takes."""
        return (self.after - self.before) / STREAMS / 1024


def measure_idle(stage: Stage) -> Idle | None:
    """Open streams that nothing is sent on. None where memory is not known."""
    gateway = stage.gateway(stage.log("idle"))
    stage.open("warm-up", gateway.grpc_port, _WARM_UP_STREAMS)
    stage.close("warm-up", gateway)
    time.sleep(_SETTLE_S)
    before = gateway.process.memory_bytes()
    stage.open("idle", gateway.grpc_port, STREAMS)
    time.sleep(_SETTLE_S)
    after = gateway.process.memory_bytes()
    # They are alive: each gets what is posted now.
    stage.post(gateway, 1)
    stage.finish("idle", 1)
    stage.close("idle", gateway)
    gateway.process.kill()
    return None if before is None or after is None else Idle(before, after)
