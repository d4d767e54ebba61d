"""Instruments: what counts and measures, and the pages on which Prometheus reads them.

The only module that imports `prometheus_client`. Its own counters and histograms take locks, which
nobody needs who counts in one thread, the event loop's: with them a call costs three times as much
here. So the numbers are kept as plain ones, and given to the library when somebody asks for them.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from time import time
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client import exposition as text_format
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as open_format
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.tracecontext import Span

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

    def __init__(self) -> None:
        self._series: dict[Labels, float] = {}

    @property
    def series(self) -> Mapping[Labels, float]:
        """What has been counted so far."""
        return self._series

    def add(self, labels: Labels, by: float = 1) -> None:
        """Count one more, or several."""
        self._series[labels] = self._series.get(labels, 0) + by


class _Buckets:
    """The measurements of one series: how many are in each bucket, and their sum."""

    __slots__ = ("counts", "exemplars", "sum")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        self.sum = 0.0
        # By the number of the bucket.
        self.exemplars: dict[int, Exemplar] = {}


class Measured:
    """Measurements, by labels, in buckets: each has those up to its bound, and a last one all."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._names = [_text_of(it) for it in (*bounds, math.inf)]
        self._series: dict[Labels, _Buckets] = {}

    @property
    def counts(self) -> Mapping[Labels, int]:
        """How many measurements there are so far."""
        return {labels: sum(it.counts) for labels, it in self._series.items()}

    def add(self, labels: Labels, value: float, span: Span | None = None) -> None:
        """Add a measurement. The trace that it was made in becomes its exemplar, if it is sampled.

        Of others nobody has anything.
        """
        found = self._series.get(labels) or self.begin(labels)
        number = bisect_left(self._bounds, value)
        found.counts[number] += 1
        found.sum += value
        if span is not None and span.context.is_sampled:
            trace = {"trace_id": span.context.trace_id}
            found.exemplars[number] = Exemplar(trace, value, time())

    def begin(self, labels: Labels) -> _Buckets:
        """Begin a series, which shows that nothing has been measured so far."""
        found = self._series[labels] = _Buckets(len(self._names))
        return found

    def put_into(self, family: HistogramMetricFamily) -> None:
        """Put all series into what Prometheus reads."""
        for labels, found in self._series.items():
            sums = accumulate(found.counts)
            buckets: list[Any] = [
                (name, total, found.exemplars.get(number))
                for number, (name, total) in enumerate(zip(self._names, sums, strict=True))
            ]
            family.add_metric(labels, buckets, found.sum)


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
        made = Counted()
        if not labels:
            made.add((), 0)
        self._counter(name, text, labels, lambda: made.series)
        return made

    def measured(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> Measured:
        """Make a histogram whose buckets have these bounds, in ascending order."""
        made = Measured(buckets)
        if not labels:
            made.begin(())
        described = self._describe(name, "histogram", labels, text)

        def collect() -> HistogramMetricFamily:
            family = HistogramMetricFamily(name, text, labels=labels)
            made.put_into(family)
            return family

        self._registry.register(_Collected(described, collect))
        return made

    def looked_up(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Make a gauge whose value is looked up when somebody asks."""
        self._gauge(name, text, (), lambda: {(): value()})

    def looked_up_by(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Make a gauge whose values, by the one label it has, are looked up when somebody asks."""
        self._gauge(name, text, (label,), lambda: {(key,): it for key, it in values().items()})

    def kept(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Make a counter that is kept elsewhere. Its series is called `NAME_total`."""
        self._counter(name, text, (), lambda: {(): value()})

    def kept_by(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Make a counter that is kept elsewhere, by the one label it has."""
        self._counter(name, text, (label,), lambda: {(key,): it for key, it in values().items()})

    def sums(self, names: Mapping[str, str]) -> Mapping[str, Mapping[str, float]]:
        """Return the values of some series by their names and by the values of a label.

        `names` has that label for each name, or no text: then there is the sum over all, as "".
        """
        found: dict[str, dict[str, float]] = {name: {} for name in names}
        for family in self._registry.restricted_registry(list(names)).collect():
            for sample in family.samples:
                if (sums := found.get(sample.name)) is not None:
                    value = sample.labels.get(names[sample.name], "")
                    sums[value] = sums.get(value, 0.0) + sample.value
        return found

    def page(self, *, openmetrics: bool) -> bytes:
        """Return all metrics as text, in the OpenMetrics format or in the older one.

        Only the former has exemplars.
        """
        if openmetrics:
            page: bytes = open_format.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return page
        return generate_latest(self._registry)

    def _counter(
        self, name: str, text: str, labels: Labels, values: Callable[[], Mapping[Labels, float]]
    ) -> None:
        described = self._describe(f"{name}_total", "counter", labels, text)

        def collect() -> CounterMetricFamily:
            family = CounterMetricFamily(name, text, labels=labels)
            for key, value in values().items():
                family.add_metric(key, value)
            return family

        self._registry.register(_Collected(described, collect))

    def _gauge(
        self, name: str, text: str, labels: Labels, values: Callable[[], Mapping[Labels, float]]
    ) -> None:
        described = self._describe(name, "gauge", labels, text)

        def collect() -> GaugeMetricFamily:
            family = GaugeMetricFamily(name, text, labels=labels)
            for key, value in values().items():
                family.add_metric(key, value)
            return family

        self._registry.register(_Collected(described, collect))

    def _describe(self, name: str, kind: str, labels: Labels, text: str) -> Described:
        described = Described(name, kind, labels, text)
        if any(it.name == name for it in self._described):
            raise ValueError(f"{name} is made already")
        self._described.append(described)
        return described


class _Collected(Collector):
    """A metric that is made when somebody asks for it."""

    def __init__(self, described: Described, collect: Callable[[], Metric]) -> None:
        self._described = described
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield self._collect()

    def describe(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`: without looking anything up."""
        it = self._described
        yield Metric(it.name.removesuffix("_total"), it.text, it.kind)


def _text_of(bound: float) -> str:
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
    return text


def takes_openmetrics(accept: str) -> bool:
    """Tell whether who asks with this `Accept` can read the OpenMetrics format."""
    return any(it.partition(";")[0].strip() == _OPENMETRICS for it in accept.split(","))


def content_type(*, openmetrics: bool) -> str:
    """Return the type of a page in one of the two formats."""
    if openmetrics:
        return open_format.CONTENT_TYPE_LATEST
    return text_format.CONTENT_TYPE_PLAIN_0_0_4
