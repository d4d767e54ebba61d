"""Which webhooks have a line, and what it has beside its words."""

import json
import logging

import pytest

from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import WebhookReceived
from gateway.telemetry.call_lines import AccessLog
from gateway.telemetry.lines import formatter
from gateway.telemetry.webhook_lines import WebhookLines

STORED = WebhookReceived("stored", "call.hangup", 900, 0.0, 0.01, event_id="e-1")
SLOW = STORED._replace(seconds=1.5)
UNSTORED = WebhookReceived(
    "log_unavailable",
    "",
    900,
    0.0,
    0.01,
    Refused(Subject.WEBHOOK, "LOG_UNAVAILABLE", "192.0.2.1", "the disk is full", is_shortage=True),
    status=503,
    event_id="e-2",
)


@pytest.mark.parametrize(
    ("which", "written"),
    [
        ("off", ["refused a webhook"]),
        ("failures", ["a webhook was slow", "refused a webhook"]),
        ("all", ["a webhook was taken", "a webhook was slow", "refused a webhook"]),
    ],
)
def test_a_setting_says_which_webhooks_have_a_line(
    caplog: pytest.LogCaptureFixture, which: AccessLog, written: list[str]
) -> None:
    caplog.set_level(logging.INFO)

    for received in (STORED, SLOW, UNSTORED):
        WebhookLines(which, slow_s=1.0).tell(received)

    assert [it.getMessage().partition(":")[0] for it in caplog.records] == written


def test_a_line_names_the_event_that_could_not_be_stored(caplog: pytest.LogCaptureFixture) -> None:
    WebhookLines().tell(UNSTORED)

    (line,) = caplog.records
    read = json.loads(formatter("json").format(line))
    assert line.levelname == "WARNING"
    assert read["message"] == "refused a webhook: LOG_UNAVAILABLE: the disk is full"
    assert {name: read[name] for name in ("event_id", "status", "peer", "ms")} == {
        "event_id": "e-2",
        "status": 503,
        "peer": "192.0.2.1",
        "ms": 10.0,
    }


def test_an_id_of_any_length_leaves_the_line_short(caplog: pytest.LogCaptureFixture) -> None:
    WebhookLines().tell(UNSTORED._replace(event_id="x" * 100_000))

    assert len(formatter("json").format(caplog.records[0])) < 1_000
