"""Vitals: how the gateway has done over the last hour, in samples for charts."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import time

# How often a sample is taken, in seconds, and how many are kept: an hour of them.
SAMPLE_S = 10.0
SAMPLES_MAX = 360

# What is read of the metrics: sums over all labels.
WEBHOOKS = "gateway_webhooks_total"
WEBHOOK_COUNT = "gateway_webhook_duration_seconds_count"
WEBHOOK_SUM = "gateway_webhook_duration_seconds_sum"
LAG_COUNT = "gateway_feed_lag_seconds_count"
LAG_SUM = "gateway_feed_lag_seconds_sum"
REQUEST_COUNT = "gateway_upstream_request_duration_seconds_count"
REQUEST_SUM = "gateway_upstream_request_duration_seconds_sum"
CALLS = "grpc_server_call_duration_seconds_count"
LIMITED = "gateway_refusals_total"
STREAMS = "gateway_feed_subscribers"
NAMES = (
    *(WEBHOOKS, WEBHOOK_COUNT, WEBHOOK_SUM, LAG_COUNT, LAG_SUM),
    *(REQUEST_COUNT, REQUEST_SUM, CALLS, LIMITED, STREAMS),
)


class Vitals:
    """Takes samples while it runs. `read` returns what has been counted so far, by name."""

    def __init__(
        self,
        read: Callable[[], Mapping[str, float]],
        now: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._now = now
        self._sleep = sleep
        self._samples: deque[dict[str, float | None]] = deque(maxlen=SAMPLES_MAX)
        self._last: tuple[float, Mapping[str, float]] | None = None

    @property
    def samples(self) -> Sequence[dict[str, float | None]]:
        """The samples, oldest first. Of what did not happen in one, there is no average."""
        return tuple(self._samples)

    async def run(self) -> None:
        """Take a sample now and then, until cancelled."""
        while True:
            self.take()
            await self._sleep(SAMPLE_S)

    def take(self) -> None:
        """Take a sample of the time since the last one; the first one only begins."""
        now, counted = self._now(), self._read()
        last, self._last = self._last, (now, counted)
        if last is None or now <= last[0]:
            return
        seconds, before = now - last[0], last[1]

        def grown(name: str) -> float:
            return max(0.0, counted.get(name, 0.0) - before.get(name, 0.0))

        def average_ms(total: str, count: str) -> float | None:
            return grown(total) / grown(count) * 1_000 if grown(count) else None

        self._samples.append(
            {
                "at": round(now * 1_000),
                "webhooks_per_s": grown(WEBHOOKS) / seconds,
                "webhook_ms": average_ms(WEBHOOK_SUM, WEBHOOK_COUNT),
                "lag_ms": average_ms(LAG_SUM, LAG_COUNT),
                "requests_per_s": grown(REQUEST_COUNT) / seconds,
                "request_ms": average_ms(REQUEST_SUM, REQUEST_COUNT),
                "calls_per_s": grown(CALLS) / seconds,
                "refusals_per_s": grown(LIMITED) / seconds,
                "streams": counted.get(STREAMS, 0.0),
            }
        )
