"""A whole gateway and its provider: when it is ready, and what it serves until then."""

import socket

import pytest

from conferencing.v1.event_service_pb2 import GetEventRequest
from tests.conftest import StartGateway
from tests.harness.log_lines import warnings
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.readiness import ready, serving, until
from tests.harness.webhooks import webhook


@pytest.mark.slow
def test_a_gateway_with_a_wrong_address_is_not_ready_but_serves_its_feed(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    gateway = start_gateway(f"http://{address}/v2", GATEWAY_UPSTREAM_PROBE="on")

    until(lambda: "cannot be reached" in ready(gateway)[1])

    assert ready(gateway) == (503, "not ready: the provider cannot be reached\n")
    assert not serving(gateway, "conferencing.v1.QueueService")
    assert not serving(gateway, "")
    assert serving(gateway, "conferencing.v1.EventService")
    assert gateway.webhooks.post(webhook(id_="e1")).status == 200
    assert gateway.events.GetEvent(GetEventRequest(event_id="e1")).event.id == "e1"
    assert sum(f"http://{address}" in line for line in warnings(caplog)) == 1
    assert "KEY0123456789" not in caplog.text


@pytest.mark.slow
def test_a_gateway_that_reaches_its_provider_gets_ready_without_a_call(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(404, b"<html>nothing here</html>", {"content-type": "text/html"})
    gateway = start_gateway(provider.base_url, GATEWAY_UPSTREAM_PROBE="on")
    until(lambda: "TELNYX_BASE_URL" in ready(gateway)[1])

    provider.answer = Answer(200, {"data": []})

    until(lambda: ready(gateway) == (200, "ready\n"))
    until(lambda: serving(gateway, "conferencing.v1.ConferenceService"))
    assert {it.path for it in provider.requests} == {"/v2/queues"}
    assert provider.last.headers["authorization"] == "Bearer KEY0123456789"
