"""What is made of something refused: one form of a line, and one count."""

import logging

import pytest

from gateway.records.calls import CallEnded
from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.records.observer import Record
from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import WebhookReceived
from gateway.telemetry.flood import Flood, kind_of
from gateway.telemetry.lines import formatter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry
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
        "closed an HTTP connection: TOO_MANY_CONNECTIONS (from 192.0.2.1)",
    ),
    (
        Refused(Subject.CALL, "INVALID_REQUEST", PEER, "s/M: name: is required"),
        "INFO",
        f"refused a call: INVALID_REQUEST: s/M: name: is required (from {PEER})",
    ),
    (
        Refused(Subject.GRPC_CONNECTION, "TOO_MANY", PEER, "300 are open", is_shortage=True),
        "WARNING",
        f"limited a gRPC connection: TOO_MANY: 300 are open (from {PEER})",
    ),
]


FLOODS: list[tuple[Record, str, str]] = [
    (
        ConnectionHeld(PEER, "CALLS_GIVEN_UP", 10.0),
        "WARNING",
        "limited a gRPC connection: CALLS_GIVEN_UP: nothing of it is read for 10 s, and then it is"
        f" closed (from {PEER})",
    ),
    (
        ConnectionHeld(PEER, "CALLS_GIVEN_UP", 0.0),
        "WARNING",
        f"limited a gRPC connection: CALLS_GIVEN_UP: it is closed (from {PEER})",
    ),
    (
        ConnectionClosed(PEER, "CALLS_GIVEN_UP", 5.0, 10.2),
        "INFO",
        f"closed a gRPC connection: CALLS_GIVEN_UP: it was held for 10 s (from {PEER})",
    ),
]


def counted(metrics: Metrics, subject: Subject, kind: str) -> float:
    labels = f'kind="{kind}",subject="{subject}"'
    found = [
        it
        for it in metrics.text().decode().splitlines()
        if it.startswith(f"gateway_refusals_total{{{labels}}}")
    ]
    return float(found[0].split()[-1]) if found else 0.0


def line_of(record: Record, metrics: Metrics, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Return the level and the text of the one line that is made of a record."""
    listen(caplog)
    Telemetry(metrics).observe(record)
    (line,) = caplog.records
    _, _, text = formatter("text").format(line).partition("gateway.telemetry.refusals  ")
    return line.levelname, text


@pytest.mark.parametrize(("refused", "level", "text"), FORMS, ids=lambda it: str(it)[:40])
def test_a_line_says_what_was_refused_why_and_from_whom(
    caplog: pytest.LogCaptureFixture, refused: Refused, level: str, text: str
) -> None:
    metrics = Metrics()

    assert line_of(refused, metrics, caplog) == (level, text)
    assert counted(metrics, refused.subject, refused.kind) == 1.0


@pytest.mark.parametrize(("record", "level", "text"), FLOODS, ids=lambda it: str(it)[:40])
def test_a_connection_that_floods_has_a_line_when_it_is_held_and_when_it_is_closed(
    caplog: pytest.LogCaptureFixture, record: Record, level: str, text: str
) -> None:
    """It counts once: as something refused, when it is held."""
    metrics = Metrics()

    assert line_of(record, metrics, caplog) == (level, text)
    times = 1.0 if isinstance(record, ConnectionHeld) else 0.0
    assert counted(metrics, Subject.GRPC_CONNECTION, "CALLS_GIVEN_UP") == times


def test_every_subject_has_its_words(caplog: pytest.LogCaptureFixture) -> None:
    listen(caplog)
    for subject in Subject:
        Telemetry(Metrics()).observe(Refused(subject, "KIND", PEER))

    assert len({it.text for it in refusals(caplog)}) == len(Subject)


def test_a_call_and_a_webhook_tell_of_what_was_refused_and_of_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    call, webhook = (Refused(it, "KIND", PEER) for it in (Subject.CALL, Subject.WEBHOOK))
    metrics = Metrics()
    observe = Telemetry(metrics).observe

    observe(CallEnded("s/M", "OK", 0.0, 0.1))
    observe(CallEnded("s/M", "NOT_FOUND", 0.0, 0.1))
    observe(WebhookReceived("stored", "call.hangup", 1, 0.0, 0.1))
    observe(CallEnded("s/M", "INVALID_ARGUMENT", 0.0, 0.1, call))
    observe(WebhookReceived("not_json", "", 1, 0.0, 0.1, webhook))

    assert refusals(caplog) == [
        Told("INFO", "refused a call: KIND", PEER),
        Told("INFO", "refused a webhook: KIND", PEER),
    ]
    assert counted(metrics, Subject.CALL, "KIND") == 1.0
    assert counted(metrics, Subject.WEBHOOK, "KIND") == 1.0


def test_a_flood_is_a_line_for_each_kind_whatever_else_differs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    observe = Telemetry(Metrics()).observe
    for number in range(100):
        peer = f"ipv4:192.0.2.{number}:1"
        detail = f"s/M{'x' * number}: field {number} is wrong"
        for kind in ("INVALID_REQUEST", "NO_MESSAGE"):
            observe(Refused(Subject.CALL, kind, peer, detail))
        observe(Refused(Subject.WEBHOOK, "NO_MESSAGE", peer, detail))

    flood = Flood(ManualClock())
    passed = [it for it in caplog.records if flood.passes(it, kind_of(it))]

    assert len(caplog.records) == 300
    assert len(passed) == 3
    assert flood.counted == 3 * 98


def test_a_long_detail_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    listen(caplog)

    Telemetry(Metrics()).observe(Refused(Subject.CALL, "KIND", PEER, "x" * 10_000))

    assert len(refusals(caplog)[0].text) < 400


def test_quiet_lines_are_not_written_where_only_warnings_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="gateway.telemetry.refusals")
    observe = Telemetry(Metrics()).observe

    observe(Refused(Subject.CALL, "INVALID_REQUEST", PEER))
    observe(Refused(Subject.CALL, "TOO_MANY_CALLS", PEER, is_shortage=True))

    assert [it.level for it in refusals(caplog)] == ["WARNING"]
