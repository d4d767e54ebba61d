"""What queries may ask for: the series that a gateway shows, and the values of their labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grpc import StatusCode

from gateway.ingest.webhooks.receiver import STATUS_OF_REASON
from gateway.records.backfill import Cause, Verdict
from gateway.records.refusals import Subject
from gateway.telemetry.instruments import Described
from tests.deploy.queries import BUCKET, SCRAPED, chosen, grouped_by

# Series of the process itself, which every program has.
OF_THE_PROCESS = {
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
}

# The values that a label may have, by metric and label, or by label alone.
VALUES: Mapping[str, Iterable[str]] = {
    "grpc_status": [it.name for it in StatusCode],
    "gateway_webhooks_total outcome": [
        "stored",
        "duplicate",
        *(reason.lower() for reason in STATUS_OF_REASON),
    ],
    "gateway_backfill_deliveries_total outcome": [it.value for it in Verdict],
    "gateway_backfill_sweeps_total outcome": ["succeeded", "failed"],
    "gateway_backfill_sweeps_total cause": [it.value for it in Cause],
    "gateway_refusals_total subject": list(Subject),
    "gateway_upstream_requests_total kind": ["first", "retry", "hedge"],
    "gateway_upstream_requests_total outcome": ["429"],
    "gateway_component_ready component": [
        "event_log",
        "api_key",
        "provider",
        "provider_requests",
        "background_work",
    ],
}


@dataclass(frozen=True)
class Shown:
    """The series that a gateway shows, each with its labels."""

    labels: Mapping[str, frozenset[str]]

    @classmethod
    def by(cls, described: Iterable[Described]) -> "Shown":
        found = {name: frozenset[str]() for name in OF_THE_PROCESS}
        for it in described:
            labels = frozenset(it.labels)
            if it.kind == "histogram":
                found[f"{it.name}_bucket"] = labels | {BUCKET}
                found[f"{it.name}_sum"] = found[f"{it.name}_count"] = labels
            else:
                found[it.name] = labels
        return cls(found)

    def mistakes(self, query: str) -> list[str]:
        """Return what a query asks for that there is not. Raises ValueError if it is none."""
        found: list[str] = []
        known = set(SCRAPED)
        for it in chosen(query):
            if it.name not in self.labels:
                found.append(f"there is no {it.name}")
                continue
            known |= self.labels[it.name]
            strange = it.labels - self.labels[it.name] - SCRAPED
            found += [f"{it.name} has no label {name}" for name in strange]
            for label, value in it.values:
                allowed = VALUES.get(f"{it.name} {label}", VALUES.get(label))
                if allowed is not None and value not in allowed:
                    found.append(f"{it.name} has no {label} {value}")
        found += [f"nothing in it has a label {name}" for name in grouped_by(query) - known]
        return found
