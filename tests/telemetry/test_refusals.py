"""What is made of something refused: one form of a line, and one count."""

import logging

import pytest
from grpc import StatusCode

from gateway.ingest.webhooks.receiver import Received
from gateway.refused import Refused, Subject
from gateway.rpc.hooks import CallEnded
from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.lines import formatter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.records import Records
from tests.harness.clock import ManualClock
from tests.harness.refusals import Told, listen, refusals

PEER = "ipv4:192.0.2.1:40000"

FORMS = [
    (
        Refused(Subject.WEBHOOK, "STALE_TIMESTAMP", "192.0.2.1"),
        "INFO",
        "refused a webhook: STALE_TIMESTAMP (from 192.0.2.1)",
    ),
    (
        Refused(Subject.HTTP_CONNECTION, "TOO_MANY_CONNECTIONS", "192.0.2.1", is_shortage=True),
        "WARNING",
        "ended an HTTP connection: TOO_MANY_CONNECTIONS (from 192.0.2.1)",
    ),
    (
        Refused(Subject.CALL, "INVALID_REQUEST", PEER, "s/M: name: is required"),
        "INFO",
        f"refused a call: INVALID_REQUEST: s/M: name: is required (from {PEER})",
    ),
    (
        Refused(Subject.GRPC_CONNECTION, "CALLS_GIVEN_UP", PEER, "it is held", is_shortage=True),
        "WARNING",
        f"limited a gRPC connection: CALLS_GIVEN_UP: it is held (from {PEER})",
    ),
]


def counted(metrics: Metrics, refused: Refused) -> float:
    labels = f'kind="{refused.kind}",subject="{refused.subject}"'
    (line,) = [
        it
        for it in metrics.text().decode().splitlines()
        if it.startswith(f"gateway_refusals_total{{{labels}}}")
    ]
    return float(line.split()[-1])


@pytest.mark.parametrize(("refused", "level", "text"), FORMS, ids=lambda it: str(it)[:40])
def test_a_line_says_what_was_refused_why_and_from_whom(
    caplog: pytest.LogCaptureFixture, refused: Refused, level: str, text: str
) -> None:
    listen(caplog)
    metrics = Metrics()

    Records(metrics).refused(refused)

    (record,) = caplog.records
    assert record.levelname == level
    assert formatter("text").format(record).endswith(f"gateway.telemetry.refusals  {text}")
    assert counted(metrics, refused) == 1.0


def test_every_subject_has_its_words(caplog: pytest.LogCaptureFixture) -> None:
    listen(caplog)
    for subject in Subject:
        Records(Metrics()).refused(Refused(subject, "KIND", PEER))

    assert len({it.text for it in refusals(caplog)}) == len(Subject)


def test_a_call_and_a_webhook_tell_of_what_was_refused_and_of_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    call, webhook = (Refused(it, "KIND", PEER) for it in (Subject.CALL, Subject.WEBHOOK))
    metrics = Metrics()
    records = Records(metrics)

    records.call_ended(CallEnded("s/M", StatusCode.OK, 0.1))
    records.call_ended(CallEnded("s/M", StatusCode.NOT_FOUND, 0.1))
    records.webhook_received(Received("stored", "call.hangup", 1))
    records.call_ended(CallEnded("s/M", StatusCode.INVALID_ARGUMENT, 0.1, call))
    records.webhook_received(Received("not_json", "", 1, webhook))

    assert refusals(caplog) == [
        Told("INFO", "refused a call: KIND", PEER),
        Told("INFO", "refused a webhook: KIND", PEER),
    ]
    assert (counted(metrics, call), counted(metrics, webhook)) == (1.0, 1.0)


def test_a_flood_is_a_line_for_each_kind_whatever_else_differs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    records = Records(Metrics())
    for number in range(100):
        peer = f"ipv4:192.0.2.{number}:1"
        detail = f"s/M{'x' * number}: field {number} is wrong"
        for kind in ("INVALID_REQUEST", "NO_MESSAGE"):
            records.refused(Refused(Subject.CALL, kind, peer, detail))
        records.refused(Refused(Subject.WEBHOOK, "NO_MESSAGE", peer, detail))

    flood = Flood(ManualClock())
    passed = [it for it in caplog.records if flood.passes(it, kind_of(it))]

    assert len(caplog.records) == 300
    assert len(passed) == 3
    assert flood.counted == 3 * 98


def test_a_long_detail_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    listen(caplog)

    Records(Metrics()).refused(Refused(Subject.CALL, "KIND", PEER, "x" * 10_000))

    assert len(refusals(caplog)[0].text) < 400


def test_quiet_lines_are_not_written_where_only_warnings_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="gateway.telemetry.refusals")
    records = Records(Metrics())

    records.refused(Refused(Subject.CALL, "INVALID_REQUEST", PEER))
    records.refused(Refused(Subject.CALL, "TOO_MANY_CALLS", PEER, is_shortage=True))

    assert [it.level for it in refusals(caplog)] == ["WARNING"]
