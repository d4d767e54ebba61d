"""Vitals: how the gateway has done over the last hour, in samples for charts."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import time
from typing import TypeAlias

from gateway.console.quantile import quantile
from gateway.records.attempts import ABANDONED

# How often a sample is taken, in seconds, and how many are kept: an hour of them.
SAMPLE_S = 10.0
SAMPLES_MAX = 360

# What is read of the metrics: sums over all labels, but for that which is named.
WEBHOOKS = "gateway_webhooks_total"
WEBHOOK_TIMES = "gateway_webhook_duration_seconds_bucket"
LAGS = "gateway_feed_lag_seconds_bucket"
REQUEST_TIMES = "gateway_upstream_request_duration_seconds_bucket"
RESULTS = "gateway_upstream_requests_total"
CALLS = "grpc_server_call_duration_seconds_count"
LIMITED = "gateway_refusals_total"
STREAMS = "gateway_feed_subscribers"
NAMES: Mapping[str, str] = {
    **dict.fromkeys((WEBHOOKS, CALLS, LIMITED, STREAMS), ""),
    **dict.fromkeys((WEBHOOK_TIMES, LAGS, REQUEST_TIMES), "le"),
    RESULTS: "outcome",
}

# Results of requests that say nothing against the provider: it has done what was asked, or refused
# it for a reason in the request, or nobody waited for it.
_NO_ERROR = re.compile(r"2\d\d|4(?!01|03|08|29)\d\d|" + ABANDONED)

Counted: TypeAlias = Mapping[str, Mapping[str, float]]


class Vitals:
    """Takes samples while it runs. `read` returns what has been counted so far, by `NAMES`."""

    def __init__(
        self,
        read: Callable[[], Counted],
        now: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._now = now
        self._sleep = sleep
        self._samples: deque[dict[str, float | None]] = deque(maxlen=SAMPLES_MAX)
        self._last: tuple[float, Counted] | None = None

    @property
    def samples(self) -> Sequence[dict[str, float | None]]:
        """The samples, oldest first. Of what did not happen in one, there is no time."""
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

        def grown(name: str) -> dict[str, float]:
            values = counted.get(name, {})
            return {it: max(0.0, values[it] - before.get(name, {}).get(it, 0.0)) for it in values}

        def per_s(name: str) -> float:
            return sum(grown(name).values()) / seconds

        def p99_ms(name: str) -> float | None:
            found = quantile(0.99, {float(le): count for le, count in grown(name).items()})
            return None if found is None else found * 1_000

        failed = [it for result, it in grown(RESULTS).items() if not _NO_ERROR.fullmatch(result)]
        self._samples.append(
            {
                "at": round(now * 1_000),
                "webhooks_per_s": per_s(WEBHOOKS),
                "webhook_ms": p99_ms(WEBHOOK_TIMES),
                "lag_ms": p99_ms(LAGS),
                "requests_per_s": per_s(RESULTS),
                "request_ms": p99_ms(REQUEST_TIMES),
                "errors_per_s": sum(failed) / seconds,
                "calls_per_s": per_s(CALLS),
                "refusals_per_s": per_s(LIMITED),
                "streams": sum(counted.get(STREAMS, {}).values()),
            }
        )
