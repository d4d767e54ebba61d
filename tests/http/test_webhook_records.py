"""What is recorded of a webhook: its result and size, when it began and how long it took."""

from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import WebhookReceived
from tests.harness.webhooks import webhook
from tests.http.stage import Stage, staged


@staged
async def test_a_webhook_has_taken_until_it_is_stored(stage: Stage) -> None:
    stage.loop.advance(5)
    stage.log.lets.clear()
    await stage.send(stage.connect(), stage.signed())
    await stage.passes(2.5)
    assert stage.received == []

    stage.log.lets.set()
    await stage.passes(0)

    (received,) = stage.received
    size = len(webhook(id_=received.event_id))
    assert received == WebhookReceived(
        "stored",
        "conference.participant.joined",
        size,
        began=5.0,
        seconds=2.5,
        event_id=received.event_id,
    )
    assert received.event_id.startswith("event-")


@staged
async def test_a_webhook_whose_body_comes_slowly_began_with_its_head(stage: Stage) -> None:
    wire = stage.connect()
    await stage.send(wire, stage.signed_head())
    await stage.passes(2)
    await stage.send(wire, b"3\r\n{\r\n\r\n")
    await stage.passes(1)
    await stage.send(wire, b"0\r\n\r\n")

    (received,) = stage.received
    assert (received.result, received.event_type) == ("signature_mismatch", "")
    assert (received.began, received.seconds, received.size_bytes) == (0.0, 3.0, 3)
    assert received.refused == Refused(Subject.WEBHOOK, "SIGNATURE_MISMATCH", "?")


@staged
async def test_a_connection_that_ends_without_a_request_takes_no_time(stage: Stage) -> None:
    wire = stage.connect()
    await stage.passes(3)
    await stage.send(wire, b"nonsense\r\n\r\n")

    (received,) = stage.received
    assert (received.result, received.began, received.seconds) == ("bad_request", 3.0, 0.0)
