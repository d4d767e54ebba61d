"""What is counted of events on their way: webhooks, commits to the log, deliveries to streams."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.records.commits import CommitEnded
from gateway.records.deliveries import RoundEnded
from gateway.records.webhooks import EventNoted, WebhookReceived
from gateway.telemetry.call_metrics import LATENCY_BUCKETS
from gateway.telemetry.instruments import Instruments

# Event types that are told apart, and the longest: types are the provider's to invent, and may be
# anything. What is beyond is counted as `other`.
_TYPES_MAX = 1_000
_TYPE_MAX = 100

# Bounds of the buckets of commits, in events: see `GROUP_MAX` of the log.
_GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_OUTCOMES = {True: "committed", False: "failed"}


@dataclass(frozen=True, slots=True)
class FeedGauges:
    """Where to look up what the feed is like at the moment somebody asks."""

    # Both by caller.
    subscribers: Callable[[], Mapping[str, float]]
    backlog: Callable[[], Mapping[str, float]]
    newest_sequence: Callable[[], float]
    # Seconds since 1970; zero while unknown.
    complete_until: Callable[[], float]
    backfilling: Callable[[], bool]
    # Seconds; zero while unknown.
    clock_ahead: Callable[[], float]


@dataclass(frozen=True, slots=True)
class LogGauges:
    """Where to look up what the log is like. Sizes are bytes."""

    held_events: Callable[[], float]
    size: Callable[[], float]
    size_max: Callable[[], float]
    # Of the disk that it is on, for its owner.
    disk_free: Callable[[], float]
    # How many events the index lacks, where it is a copy.
    behind: Callable[[], float]


class FeedMetrics:
    """Counts events on their way."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._webhooks = instruments.counted(
            "gateway_webhooks", "Requests to the webhook address by outcome", "outcome"
        )
        self._durations = instruments.measured(
            "gateway_webhook_duration_seconds",
            "How long requests to the webhook address took, from the head to the response",
            "outcome",
            buckets=LATENCY_BUCKETS,
        )
        self._events = instruments.counted("gateway_events", "Events stored by type", "type")
        self._types: set[str] = set()
        self._notes = instruments.counted(
            "gateway_event_notes",
            "Events that do not show all of their webhook as it was sent, by reason",
            "reason",
        )
        self._commits = instruments.measured(
            "gateway_log_commit_duration_seconds",
            "How long commits of events to the log took, synchronising the disk included",
            "outcome",
            buckets=LATENCY_BUCKETS,
        )
        self._waits = instruments.measured(
            "gateway_log_append_duration_seconds",
            "From an append to its commit, for the first append of each commit",
            buckets=LATENCY_BUCKETS,
        )
        self._groups = instruments.measured(
            "gateway_log_commit_events", "Appends that shared a commit", buckets=_GROUP_BUCKETS
        )
        self._lags = instruments.measured(
            "gateway_feed_lag_seconds",
            "From the receipt of an event to its delivery to all live streams that it is for;"
            " of events delivered together, the first",
            buckets=LATENCY_BUCKETS,
        )

    def webhook_received(self, received: WebhookReceived) -> None:
        """Count a request to the webhook address."""
        outcome = (received.result,)
        self._webhooks.add(outcome)
        self._durations.add(outcome, received.seconds, received.span)
        if received.result == "stored":
            self._events.add((self._type(received.event_type),))

    def event_noted(self, noted: EventNoted) -> None:
        """Count an event that does not show its webhook as it was sent."""
        self._notes.add((noted.reason,))

    def commit_ended(self, commit: CommitEnded) -> None:
        """Count a commit."""
        self._commits.add((_OUTCOMES[commit.succeeded],), commit.seconds)
        if commit.succeeded:
            self._waits.add((), commit.waited_s + commit.seconds)
            self._groups.add((), commit.events)

    def round_ended(self, round_: RoundEnded) -> None:
        """Count a delivery of new events to those who waited for them."""
        self._lags.add((), round_.lag_s)

    def watch_feed(self, gauges: FeedGauges) -> None:
        """Show the state of the feed from now on."""
        made = self._instruments
        made.looked_up_by(
            "gateway_feed_subscribers", "Open streams by caller", "caller", gauges.subscribers
        )
        made.looked_up_by(
            "gateway_feed_backlog_events",
            "Events that the slowest stream of a caller has yet to look at",
            "caller",
            gauges.backlog,
        )
        for name, text, value in (
            ("feed_newest_sequence", "Number of the newest event", gauges.newest_sequence),
            (
                "backfill_active",
                "Whether backfill is this gateway's to do: 1, or 0 if it is off or another's",
                gauges.backfilling,
            ),
            (
                "backfill_complete_until_seconds",
                "Backfill watermark: Unix time before which no event is known to be missing",
                gauges.complete_until,
            ),
            (
                "clock_ahead_seconds",
                "How far the gateway's clock is ahead of the provider's, in seconds",
                gauges.clock_ahead,
            ),
        ):
            made.looked_up(f"gateway_{name}", text, value)

    def watch_log(self, gauges: LogGauges) -> None:
        """Show the state of the log from now on."""
        for name, text, value in (
            ("events", "Events stored in the log", gauges.held_events),
            ("size_bytes", "Size of the log's file", gauges.size),
            (
                "size_max_bytes",
                "Size of the log's file above which the oldest events are deleted",
                gauges.size_max,
            ),
            ("disk_free_bytes", "Free space on the disk of the log", gauges.disk_free),
            (
                "index_behind_events",
                "Events of a NATS stream that this gateway's index lacks",
                gauges.behind,
            ),
        ):
            self._instruments.looked_up(f"gateway_log_{name}", text, value)

    def _type(self, event_type: str) -> str:
        if event_type not in self._types:
            if len(self._types) >= _TYPES_MAX or len(event_type) > _TYPE_MAX:
                return "other"
            self._types.add(event_type)
        return event_type
