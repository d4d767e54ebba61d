"""Gauges: where the values come from that metrics look up when somebody asks for them."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.clock import Clock
from gateway.feed.feed import Feed
from gateway.journal.ports import EventLog
from gateway.telemetry.feed_metrics import FeedGauges, LogGauges
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.upstream_metrics import UpstreamGauges
from gateway.upstream.assembly import Upstream


@dataclass(frozen=True, slots=True)
class LogFile:
    """The file that the log is in, and how large it may be, in bytes."""

    path: Path
    size_max: int

    @property
    def size(self) -> float:
        """How large it is, in bytes; not a number where it is not there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return math.nan

    @property
    def disk_free(self) -> float:
        """How much of its disk is free for us, in bytes; not a number where that is not told."""
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return math.nan
        return found.f_bavail * found.f_frsize


class BackfillStanding(Protocol):
    """How far backfill has come, and whose it is to do."""

    @property
    def complete_until_s(self) -> float:
        """The watermark, in seconds since 1970."""

    @property
    def is_backfilling(self) -> bool:
        """Whether it is this gateway's."""


def watch_feed(metrics: Metrics, feed: Feed, clock: Clock, backfill: BackfillStanding) -> None:
    """Show the feed from now on."""

    def subscribers() -> Mapping[str, float]:
        return {name: it.streams for name, it in feed.standings.items()}

    def backlog() -> Mapping[str, float]:
        return {name: it.backlog for name, it in feed.standings.items()}

    metrics.watch_feed(
        FeedGauges(
            subscribers=subscribers,
            backlog=backlog,
            newest_sequence=lambda: feed.newest,
            complete_until=lambda: backfill.complete_until_s,
            backfilling=lambda: backfill.is_backfilling,
            clock_ahead=lambda: clock.now().ahead or 0.0,
        )
    )


def watch_log(metrics: Metrics, log: EventLog, file: LogFile) -> None:
    """Show the log from now on."""
    metrics.watch_log(
        LogGauges(
            held_events=lambda: log.index.span.count,
            size=lambda: file.size,
            size_max=lambda: file.size_max,
            disk_free=lambda: file.disk_free,
            behind=lambda: log.copying.behind if log.copying else 0,
        )
    )


def watch_upstream(metrics: Metrics, upstream: Upstream) -> None:
    """Show the requests to the provider from now on."""
    requests = upstream.requests
    metrics.watch_upstream(
        UpstreamGauges(
            in_flight=lambda: requests.in_flight,
            abandoned=lambda: requests.abandoned,
            waiting=lambda: requests.waiting,
            stalled=lambda: requests.stalled_s,
            retry_budget=lambda: upstream.retries.balance,
        )
    )
