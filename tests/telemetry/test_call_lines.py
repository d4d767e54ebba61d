"""Which calls have a line, how loud it is, and what it has beside its words."""

import json
import logging

import pytest

from gateway.records.calls import CallEnded
from gateway.records.refusals import Refused, Subject
from gateway.telemetry.call_lines import AccessLog, CallLines, fields_of
from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.lines import formatter
from tests.harness.clock import ManualClock

OK = CallEnded("p.S/M", "OK", 0.0, 0.25)
SLOW = OK._replace(seconds=1.0)
STREAM = OK._replace(seconds=3_600.0, is_stream=True)
MISTAKE = CallEnded(
    "p.S/M",
    "NOT_FOUND",
    0.0,
    0.1234,
    peer="ipv4:192.0.2.1:1",
    caller="billing",
    reason="NOT_FOUND",
    message="no such queue",
    attempts=2,
    received_bytes=10,
    request_id="id-1",
    trace_id="0af7651916cd43dd8448eb211c80319c",
)
REFUSED = MISTAKE._replace(
    status="RESOURCE_EXHAUSTED",
    reason="GATEWAY_OVERLOADED",
    refused=Refused(Subject.CALL, "TOO_MANY_CALLS", MISTAKE.peer, "p.S/M: no", is_shortage=True),
)
LEFT = CallEnded("p.S/M", "CANCELLED", 0.0, 0.1)


def failed(status: str, reason: str) -> CallEnded:
    return MISTAKE._replace(status=status, reason=reason)


def lines(
    caplog: pytest.LogCaptureFixture, *calls: CallEnded, which: AccessLog = "failures"
) -> list[logging.LogRecord]:
    caplog.set_level(logging.DEBUG)
    for call in calls:
        CallLines(which, slow_s=1.0).tell(call)
    return caplog.records


@pytest.mark.parametrize(
    ("which", "written"),
    [
        ("off", ["refused a call", "a call failed"]),
        ("failures", ["a call was slow", "a call failed", "refused a call", "a call failed"]),
        (
            "all",
            [
                "a call succeeded",
                "a call was slow",
                "a call succeeded",
                "a call failed",
                "refused a call",
                "a call failed",
            ],
        ),
    ],
)
def test_a_setting_says_which_calls_have_a_line(
    caplog: pytest.LogCaptureFixture, which: AccessLog, written: list[str]
) -> None:
    unreadable = failed("UNAVAILABLE", "LOG_UNAVAILABLE")

    found = lines(caplog, OK, SLOW, STREAM, MISTAKE, REFUSED, unreadable, which=which)

    assert [it.getMessage().partition(":")[0] for it in found] == written


@pytest.mark.parametrize(
    ("call", "level"),
    [
        (MISTAKE, "INFO"),
        (failed("INVALID_ARGUMENT", "INVALID_REQUEST"), "INFO"),
        (failed("UNAVAILABLE", "UPSTREAM_UNAVAILABLE"), "INFO"),
        (failed("INTERNAL", "UPSTREAM_UNREADABLE_RESPONSE"), "WARNING"),
        (failed("INTERNAL", "UPSTREAM_CREDENTIALS_REJECTED"), "INFO"),
        (failed("UNAVAILABLE", "LOG_UNAVAILABLE"), "ERROR"),
        (REFUSED, "WARNING"),
        (LEFT, "DEBUG"),
    ],
)
def test_the_level_says_whose_turn_it_is(
    caplog: pytest.LogCaptureFixture, call: CallEnded, level: str
) -> None:
    (line,) = lines(caplog, call)

    assert line.levelname == level


def test_a_fault_that_has_a_line_with_its_traceback_has_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert lines(caplog, failed("INTERNAL", "GATEWAY_FAILURE")) == []


def test_the_members_are_fields_in_json_and_names_with_values_in_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (line,) = lines(caplog, MISTAKE._replace(caller='two "words"'))

    read = json.loads(formatter("json").format(line))
    assert read["message"] == "a call failed: p.S/M: no such queue"
    assert {name: read[name] for name in ("attempts", "ms", "caller", "request_id")} == {
        "attempts": 2,
        "ms": 123.4,
        "caller": 'two "words"',
        "request_id": "id-1",
    }
    text = formatter("text").format(line)
    assert text.endswith(
        "a call failed: p.S/M: no such queue method=p.S/M status=NOT_FOUND reason=NOT_FOUND"
        ' caller="two \\"words\\"" peer=ipv4:192.0.2.1:1 attempts=2 ms=123.4 received_bytes=10'
        " sent_bytes=0 request_id=id-1 trace_id=0af7651916cd43dd8448eb211c80319c"
    )


@pytest.mark.parametrize(("which", "passed"), [("failures", 1), ("all", 100)])
def test_a_failing_provider_is_no_flood_unless_every_call_is_wanted(
    caplog: pytest.LogCaptureFixture, which: AccessLog, passed: int
) -> None:
    calls = [
        failed("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")._replace(method=f"m{it}") for it in range(100)
    ]
    flood = Flood(ManualClock())

    found = [
        it
        for it in lines(caplog, *calls, which=which)
        if not it.__dict__["is_thinned"] or flood.passes(it, kind_of(it))
    ]

    assert len(found) == passed


def test_long_words_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = lines(caplog, MISTAKE._replace(message="x" * 10_000))

    assert len(line.getMessage()) < 400
    assert fields_of(MISTAKE)["ms"] == 123.4
