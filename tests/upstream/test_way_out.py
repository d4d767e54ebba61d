"""The way to the provider: a proxy, and certificates of one's own."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from conferencing.v1.queue_service_pb2 import DeleteQueueRequest, GetQueueRequest
from gateway.names import unread
from tests.conftest import StartGateway
from tests.harness.gateway import failure_of
from tests.harness.provider import RecordingProvider
from tests.harness.proxy import RecordingProxy

pytestmark = pytest.mark.slow

QUEUE = DeleteQueueRequest(queue_name="support")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_provider(authority: trustme.CA) -> Iterator[RecordingProvider]:
    """A provider whose certificate no public authority vouches for."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with RecordingProvider(tls) as provider:
        yield provider


@pytest.fixture
def proxy() -> Iterator[RecordingProxy]:
    with RecordingProxy() as proxy:
        yield proxy


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """A file with several authorities and words between them, ours last."""
    path = tmp_path / "ca.pem"
    other, ours = (it.cert_pem.bytes() for it in (trustme.CA(), authority))
    path.write_bytes(b"# the company's own\n" + other + b"\n# for tests\n" + ours)
    return path


def test_a_provider_with_a_certificate_of_ones_own_is_reached(
    start_gateway: StartGateway, secure_provider: RecordingProvider, bundle: Path
) -> None:
    gateway = start_gateway(secure_provider.base_url, GATEWAY_UPSTREAM_CA=str(bundle))

    gateway.queues.DeleteQueue(QUEUE, timeout=20)

    assert [it.path for it in secure_provider.requests] == ["/v2/queues/support"]


def test_without_it_nothing_is_sent_and_nothing_can_have_happened(
    start_gateway: StartGateway, secure_provider: RecordingProvider
) -> None:
    gateway = start_gateway(secure_provider.base_url)

    failure = failure_of(gateway.queues.DeleteQueue, QUEUE)

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert "certificate" in failure.message.lower()
    assert "outcome" not in failure.info.metadata
    assert secure_provider.requests == []


def test_the_systems_authorities_are_trusted_and_can_be_replaced_by_its_own_variable(
    start_gateway: StartGateway,
    secure_provider: RecordingProvider,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    gateway = start_gateway(secure_provider.base_url)

    gateway.queues.DeleteQueue(QUEUE, timeout=20)

    assert len(secure_provider.requests) == 1


def test_requests_go_through_a_tunnel_of_the_proxy(
    start_gateway: StartGateway,
    secure_provider: RecordingProvider,
    proxy: RecordingProxy,
    bundle: Path,
) -> None:
    gateway = start_gateway(
        secure_provider.base_url,
        GATEWAY_UPSTREAM_CA=str(bundle),
        GATEWAY_UPSTREAM_PROXY=f"http://someone:p%40ss@{proxy.address}",
    )

    gateway.queues.DeleteQueue(QUEUE, timeout=20)
    gateway.stop()

    host = secure_provider.base_url.split("/")[2]
    # "someone:p@ss" in base64
    assert [(it.method, it.target, it.authorization) for it in proxy.asked] == [
        ("CONNECT", host, "Basic c29tZW9uZTpwQHNz")
    ]
    assert len(secure_provider.requests) == 1
    assert "proxy-authorization" not in secure_provider.last.headers


def test_requests_without_tls_are_passed_on_by_the_proxy(
    start_gateway: StartGateway, provider: RecordingProvider, proxy: RecordingProxy
) -> None:
    gateway = start_gateway(
        provider.base_url,
        GATEWAY_UPSTREAM_PROXY=f"http://{proxy.address}",
    )

    gateway.queues.DeleteQueue(QUEUE, timeout=20)

    assert [(it.method, it.target) for it in proxy.asked] == [
        ("DELETE", f"{provider.base_url}/queues/support")
    ]
    assert len(provider.requests) == 1


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_a_tunnel_let_nothing_through(
    start_gateway: StartGateway,
    secure_provider: RecordingProvider,
    proxy: RecordingProxy,
    status: int,
) -> None:
    proxy.refuse_with = status
    gateway = start_gateway(
        secure_provider.base_url,
        GATEWAY_UPSTREAM_PROXY=f"http://someone:secret@{proxy.address}",
    )

    failure = failure_of(gateway.queues.GetQueue, GetQueueRequest(queue_name="q"))

    assert (failure.code, failure.info.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "UPSTREAM_UNAVAILABLE",
    )
    assert "secret" not in failure.message
    assert secure_provider.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_rejects_the_password_is_named_with_and_without_tls(
    start_gateway: StartGateway, proxy: RecordingProxy, scheme: str
) -> None:
    proxy.refuse_with = 407
    gateway = start_gateway(
        f"{scheme}://provider.example/v2",
        GATEWAY_UPSTREAM_PLAINTEXT="allowed",
        GATEWAY_UPSTREAM_PROXY=f"http://someone:secret@{proxy.address}",
    )

    failure = failure_of(gateway.queues.DeleteQueue, QUEUE)

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.info.reason == "UPSTREAM_UNAVAILABLE"
    assert f"the proxy {proxy.address} requires other credentials" in failure.message
    assert "outcome" not in failure.info.metadata
    assert "secret" not in failure.message


def test_proxies_of_the_environment_are_not_used(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    proxy: RecordingProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy.address}")
    monkeypatch.setenv("no_grpc_proxy", "127.0.0.1")  # for the test's own channel
    gateway = start_gateway(provider.base_url)

    gateway.queues.DeleteQueue(QUEUE, timeout=20)

    assert proxy.asked == []
    assert len(provider.requests) == 1


def test_what_is_set_for_other_programs_in_vain_is_named() -> None:
    env = {
        **{"https_proxy": "http://p:3128", "ALL_PROXY": "http://p:3128", "HTTP_PROXY": " "},
        **{"REQUESTS_CA_BUNDLE": "/ca.pem", "SSL_CERT_FILE": "/ca.pem"},
    }

    assert unread(env) == [
        "HTTPS_PROXY and ALL_PROXY have no effect: use GATEWAY_UPSTREAM_PROXY",
        "REQUESTS_CA_BUNDLE has no effect: use GATEWAY_UPSTREAM_CA",
    ]
    assert unread({**env, "GATEWAY_UPSTREAM_PROXY": "x", "GATEWAY_UPSTREAM_CA": "y"}) == []
