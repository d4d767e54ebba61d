"""Secrets in files are replaced while the gateway runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conferencing.v1.queue_service_pb2 import DeleteQueueRequest
from gateway.textfiles import TEXT_BYTES_MAX
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.proxy import RecordingProxy
from tests.harness.readiness import ready, until
from tests.harness.webhooks import Poster, Signer, webhook
from tests.upstream.asked import errors

pytestmark = pytest.mark.slow

QUEUE = DeleteQueueRequest(queue_name="support")
OLD, NEW = "KEY0123456789_old", "KEY9876543210_new"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret"


@pytest.fixture
def with_key(
    start_gateway: StartGateway, provider: RecordingProvider, path: Path
) -> RunningGateway:
    """A gateway whose key is in a file."""
    path.write_text(OLD)
    return start_gateway(provider.base_url, TELNYX_API_KEY="", TELNYX_API_KEY_FILE=str(path))


def key_of(gateway: RunningGateway, provider: RecordingProvider) -> str:
    gateway.queues.DeleteQueue(QUEUE, timeout=20)
    return provider.last.headers["authorization"].removeprefix("Bearer ")


def test_a_new_key_is_sent_with_the_next_request(
    with_key: RunningGateway, provider: RecordingProvider, path: Path
) -> None:
    assert key_of(with_key, provider) == OLD

    path.write_text(f"{NEW}\n")

    until(lambda: key_of(with_key, provider) == NEW)


def test_a_new_key_ends_what_the_rejection_of_the_old_one_began(
    with_key: RunningGateway, provider: RecordingProvider, path: Path
) -> None:
    def only_new(request: SentRequest) -> Answer:
        if request.headers["authorization"] == f"Bearer {NEW}":
            return Answer(body={"data": []})
        # Asked to wait for an hour, a probe with the old key would.
        return Answer(401, errors({"code": "10009"}), {"retry-after": "3600"})

    provider.answer = only_new
    failure_of(with_key.queues.DeleteQueue, QUEUE)
    assert ready(with_key) == (503, "not ready: the provider rejects TELNYX_API_KEY\n")

    path.write_text(NEW)

    until(lambda: ready(with_key)[0] == 200)


def test_neither_the_old_key_nor_the_new_one_comes_back_in_the_providers_words(
    with_key: RunningGateway, provider: RecordingProvider, path: Path
) -> None:
    path.write_text("another-form-of-key")
    until(lambda: key_of(with_key, provider) == "another-form-of-key")
    words = f"seen: {OLD.removeprefix('KEY')} {OLD} another-form-of-key"
    provider.answer = Answer(422, errors({"code": "10015", "detail": words}))

    failure = failure_of(with_key.queues.DeleteQueue, QUEUE)

    assert "another-form" not in failure.message + str(failure.status)
    assert OLD not in failure.message + str(failure.status)


def test_a_key_that_cannot_be_one_is_refused_loudly_and_the_old_one_goes_on(
    with_key: RunningGateway,
    provider: RecordingProvider,
    path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path.write_text("KEY s3cr3t")
    until(lambda: "TELNYX_API_KEY stays as it was" in caplog.text)

    assert key_of(with_key, provider) == OLD
    assert f"TELNYX_API_KEY stays as it was: {path} has blanks" in caplog.text
    assert "s3cr3t" not in caplog.text

    path.unlink()
    until(lambda: f"{path} cannot be read: No such file" in caplog.text)
    assert key_of(with_key, provider) == OLD

    # Larger than the next start would read.
    path.write_text(NEW + "\n" * TEXT_BYTES_MAX)
    until(lambda: f"{path} has more than {TEXT_BYTES_MAX} bytes" in caplog.text)
    assert key_of(with_key, provider) == OLD


def test_public_keys_are_rotated_without_a_webhook_lost(
    start_gateway: StartGateway, provider: RecordingProvider, path: Path
) -> None:
    old, new = Signer(1), Signer(2)
    path.write_text(old.public_key)
    gateway = start_gateway(
        provider.base_url, TELNYX_PUBLIC_KEY="", TELNYX_PUBLIC_KEY_FILE=str(path)
    )

    def status(signer: Signer) -> int:
        return Poster(gateway.http_address, signer).post(webhook("call.hangup")).status

    assert (status(old), status(new)) == (200, 401)
    path.write_text(f"{old.public_key}\n{new.public_key}\n")
    until(lambda: status(new) == 200)
    assert status(old) == 200
    path.write_text(new.public_key)
    until(lambda: status(old) == 401)
    assert status(new) == 200


@pytest.fixture
def proxies() -> Iterator[tuple[RecordingProxy, RecordingProxy]]:
    with RecordingProxy() as one, RecordingProxy() as other:
        yield one, other


def test_a_request_in_flight_completes_by_the_old_proxy_and_the_next_takes_the_new(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    proxies: tuple[RecordingProxy, RecordingProxy],
    path: Path,
) -> None:
    old, new = proxies
    path.write_text(f"http://someone:password1@{old.address}")
    gateway = start_gateway(provider.base_url, GATEWAY_UPSTREAM_PROXY_FILE=str(path))

    with provider.hanging(which=provider.is_first) as released:
        first = gateway.queues.DeleteQueue.future(QUEUE, timeout=20)
        until(lambda: len(provider.requests) == 1)
        path.write_text(f"http://someone:password2@{new.address}")

        def goes_the_new_way() -> bool:
            gateway.queues.DeleteQueue(QUEUE, timeout=20)
            return bool(new.asked)

        until(goes_the_new_way)
        assert not first.done()
        released.set()
        first.result(timeout=20)
    assert old.asked
