"""Instruments: what counts and measures, and the pages on which Prometheus reads them.

The only module that imports `prometheus_client`. Looking up the series of some labels costs more
than to count in it, so instruments remember the series that they have.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client import exposition as text_format
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics import exposition as open_format
from prometheus_client.registry import Collector

# The values of a series' labels, in the order of their names.
Labels = tuple[str, ...]

# What a scraper that takes the OpenMetrics format names in its `Accept`.
_OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class Described:
    """A metric by the name that its series begin with; `kind` is its Prometheus type."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Counted:
    """Counts, by labels."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._series: dict[Labels, Counter] = {}

    def add(self, labels: Labels, by: float = 1) -> None:
        """Count one more, or several."""
        found = self._series.get(labels)
        if found is None:
            found = self._counter.labels(*labels) if labels else self._counter
            self._series[labels] = found
        found.inc(by)


class Measured:
    """Measurements, by labels, in buckets."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._series: dict[Labels, Histogram] = {}

    def add(self, labels: Labels, value: float, trace_id: str = "") -> None:
        """Add a measurement. The trace that it was made in, if any, becomes its exemplar."""
        found = self._series.get(labels)
        if found is None:
            found = self._histogram.labels(*labels) if labels else self._histogram
            self._series[labels] = found
        if trace_id:
            found.observe(value, {"trace_id": trace_id})
        else:
            found.observe(value)


class Instruments:
    """Makes instruments, and writes what they have counted. Each has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._described: list[Described] = []
        # Memory, descriptors and processor time, by the names that every program has for them.
        ProcessCollector(registry=self._registry)

    @property
    def described(self) -> Sequence[Described]:
        """What has been made so far, but for the metrics of the process."""
        return tuple(self._described)

    def counted(self, name: str, text: str, *labels: str) -> Counted:
        """Make a counter. Its series are called `NAME_total`."""
        self._describe(f"{name}_total", "counter", labels, text)
        return Counted(Counter(name, text, labels, registry=self._registry))

    def measured(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> Measured:
        """Make a histogram whose buckets have these bounds."""
        self._describe(name, "histogram", labels, text)
        made = Histogram(name, text, labels, buckets=buckets, registry=self._registry)
        return Measured(made)

    def looked_up(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Make a gauge whose value is looked up when somebody asks."""
        self._describe(name, "gauge", (), text)
        Gauge(name, text, registry=self._registry).set_function(value)

    def looked_up_by(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Make a gauge whose values, by the one label it has, are looked up when somebody asks."""
        self._describe(name, "gauge", (label,), text)
        self._registry.register(_Family(GaugeMetricFamily, name, text, label, values))

    def kept(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Make a counter that is kept elsewhere. Its series is called `NAME_total`."""
        self._describe(f"{name}_total", "counter", (), text)
        self._registry.register(
            _Family(CounterMetricFamily, name, text, None, lambda: {"": value()})
        )

    def kept_by(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Make a counter that is kept elsewhere, by the one label it has."""
        self._describe(f"{name}_total", "counter", (label,), text)
        self._registry.register(_Family(CounterMetricFamily, name, text, label, values))

    def page(self, *, openmetrics: bool) -> bytes:
        """Return all metrics as text, in the OpenMetrics format or in the older one.

        Only the former has exemplars.
        """
        if openmetrics:
            page: bytes = open_format.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return page
        return generate_latest(self._registry)

    def _describe(self, name: str, kind: str, labels: tuple[str, ...], text: str) -> None:
        self._described.append(Described(name, kind, labels, text))


class _Family(Collector):
    """A metric whose values are kept elsewhere."""

    def __init__(
        self,
        family: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        text: str,
        label: str | None,
        values: Callable[[], Mapping[str, float]],
    ) -> None:
        self._family = family
        self._name = name
        self._text = text
        self._label = label
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """See `prometheus_client.registry.Collector`."""
        names = [] if self._label is None else [self._label]
        family = self._family(self._name, self._text, labels=names)
        for label, value in self._values().items():
            family.add_metric([label] if names else [], value)
        yield family

    def describe(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """See `prometheus_client.registry.Collector`: without looking anything up."""
        yield self._family(self._name, self._text)


def takes_openmetrics(accept: str) -> bool:
    """Tell whether who asks with this `Accept` can read the OpenMetrics format."""
    return any(it.partition(";")[0].strip() == _OPENMETRICS for it in accept.split(","))


def content_type(*, openmetrics: bool) -> str:
    """Return the type of a page in one of the two formats."""
    if openmetrics:
        return open_format.CONTENT_TYPE_LATEST
    return text_format.CONTENT_TYPE_PLAIN_0_0_4
