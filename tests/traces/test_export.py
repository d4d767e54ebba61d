"""How spans leave: in the background, within bounds, and with few words where they cannot."""

import logging
import os
import time

import pytest

from gateway.records.calls import CallEnded
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otel import OtelTraces
from gateway.telemetry.spans import EndedSpan, Kind, spans_of
from gateway.telemetry.tracing import NoTraces, Traces, traces_of
from gateway.tracecontext import Span, TraceContext
from tests.harness.clock import ManualClock
from tests.harness.collector import Collector

SAMPLED = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
UNSAMPLED = SAMPLED._replace(flags=0)


@pytest.fixture
def traces(exporting: None) -> Traces:
    return traces_of(os.environ, "1")


def ended(name: str = "work", traces: Traces | None = None) -> EndedSpan:
    span = Span(SAMPLED, None, True) if traces is None else traces.begin(None, name)
    assert span is not None
    return EndedSpan(span, name, Kind.SERVER, time.monotonic(), 0.25, {})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.name.startswith(("gateway", "opentel"))]


def test_a_span_tells_the_time_of_day_at_which_it_began(
    traces: Traces, collector: Collector
) -> None:
    began, now = time.time_ns(), time.monotonic()

    traces.take(ended()._replace(began=now - 60, seconds=42.5))

    span = collector.one("work")
    assert abs(span.span.start_time_unix_nano - (began - 60 * 10**9)) < 10**9
    assert span.seconds == 42.5
    traces.close(5)


def test_the_end_waits_for_what_has_not_been_exported(
    traces: Traces, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    slow = traces_of(os.environ, "1")
    for number in range(1_000):
        slow.take(ended(f"{number}", slow))

    slow.close(10)

    assert sorted(int(it.name) for it in collector.spans) == list(range(1_000))
    assert (slow.exported, slow.dropped_by_queue, slow.dropped_by_export) == (1_000, 0, 0)
    traces.close(5)


def test_the_end_does_not_wait_long_for_a_collector_that_does_not_respond(
    traces: Traces, collector: Collector
) -> None:
    collector.responds.clear()
    traces.take(ended())
    collector.wait_for(lambda: bool(collector.requests))
    began = time.monotonic()

    traces.close(0.2)

    assert time.monotonic() - began < 2


def test_what_there_is_no_room_for_is_dropped_and_counted_and_nobody_waits(
    collector: Collector, exporting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    small = traces_of(os.environ, "1")
    metrics = Metrics()
    metrics.watch_traces(small)
    collector.responds.clear()
    small.take(ended("first", small))
    collector.wait_for(lambda: bool(collector.requests))

    for number in range(30):
        small.take(ended(f"{number}", small))

    assert small.dropped_by_queue == 20
    assert "gateway_trace_spans_dropped_by_queue_total 20.0" in metrics.text().decode()
    collector.responds.set()
    # The oldest ones are kept: they belong to traces that are there in part.
    collector.wait_for(lambda: len(collector.spans) == 11)
    assert [it.name for it in collector.spans] == ["first", *map(str, range(10))]
    small.take(ended("there is room again", small))
    collector.one("there is room again")
    small.close(5)


def test_a_dead_collector_makes_one_line_a_minute_and_one_when_it_is_back(
    collector: Collector,
    exporting: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    traces = OtelTraces.of(os.environ, "1", clock)
    collector.status = 400

    def fail(failures: int) -> None:
        traces.take(ended()._replace(began=clock.now))
        collector.wait_for(lambda: traces.dropped_by_export == failures)

    for number in range(5):
        fail(number + 1)
        clock.advance(11)
    told = "traces cannot be exported (HTTP 400): 1 spans have been dropped so far"
    assert lines(caplog) == [told]
    clock.advance(11)
    fail(6)
    assert lines(caplog)[1:] == [told.replace("1 spans", "6 spans")]

    collector.status = 200
    traces.take(ended()._replace(began=clock.now))
    collector.one("work")
    collector.wait_for(lambda: len(caplog.records) >= 3)

    assert lines(caplog)[2:] == ["traces are exported again"]
    traces.close(5)


def test_a_collector_that_is_not_there_is_told_by_kind_without_its_address(
    exporting: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@127.0.0.1:9")
    traces = traces_of(os.environ, "1")

    traces.take(ended())
    traces.close(10)

    assert lines(caplog) == [
        "traces cannot be exported (ConnectionError): 1 spans have been dropped so far"
    ]


@pytest.mark.parametrize(
    ("sampler", "arg", "roots", "sampled_parent", "unsampled_parent"),
    [
        ("", "", 1.0, True, False),
        ("parentbased_traceidratio", "0.25", 0.25, True, False),
        ("parentbased_always_off", "", 0.0, True, False),
        ("always_off", "", 0.0, False, False),
        ("always_on", "", 1.0, True, True),
        ("traceidratio", "0.25", 0.25, None, None),
    ],
)
def test_the_sdks_sampler_decides(
    exporting: None,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    arg: str,
    roots: float,
    sampled_parent: bool | None,
    unsampled_parent: bool | None,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler or "parentbased_always_on")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", arg)
    traces = traces_of(os.environ, "1")

    begun = [traces.begin(None, "work") for _ in range(2_000)]

    shares = sum(it.is_recorded for it in begun if it is not None) / len(begun)
    assert abs(shares - roots) < 0.06
    assert all(it is not None and it.is_recorded == it.context.is_sampled for it in begun)
    for parent, wanted in ((SAMPLED, sampled_parent), (UNSAMPLED, unsampled_parent)):
        span = traces.begin(parent, "work")
        assert span is not None
        assert span.context.trace_id == parent.trace_id
        assert wanted is None or span.is_recorded is wanted
        # Who changes the flag says so with an id of its own (Trace Context, 3.4).
        is_changed = span.context.is_sampled != parent.is_sampled
        assert not is_changed or span.context.span_id != parent.span_id
    traces.close(5)


def test_what_is_not_sampled_makes_no_span(
    exporting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    traces = traces_of(os.environ, "1")

    span = traces.begin(None, "work")

    assert span is not None
    assert list(spans_of(CallEnded("s/M", "OK", 0.0, 0.1, span=span))) == []
    assert span.child() is span
    traces.close(5)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "True"},
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_TRACES_EXPORTER": "none",
        },
    ],
)
def test_traces_are_off_where_nothing_or_somebody_says_so(
    env: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(traces_of(env, "1"), NoTraces)
    assert lines(caplog) == []


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "traces are off: OTEL_TRACES_EXPORTER is 'zipkin', and only otlp is known",
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
            "traces are off: OpenTelemetry does not take its settings:"
            " invalid literal for int() with base 10: 'many'",
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "7"},
            "traces are off: OpenTelemetry does not take its settings:"
            " max_export_batch_size must be less than or equal to max_queue_size.",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_named_and_turn_traces_off(
    env: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(traces_of({**ENDPOINT, **env}, "1"), NoTraces)
    assert lines(caplog) == [told]


def test_another_protocol_than_ours_is_told(caplog: pytest.LogCaptureFixture) -> None:
    traces = traces_of({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "1")

    assert isinstance(traces, OtelTraces)
    assert lines(caplog) == [
        "traces are exported by http/protobuf and not by 'grpc': the endpoint must take that"
        " (port 4318)"
    ]
    traces.close(5)
