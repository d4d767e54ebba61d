"""Behind a real Envoy in mutual TLS, as `deploy/envoy/mtls.yaml` has it: whose calls they are."""

import base64
import http.client
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2 import DeleteQueueRequest, GetQueueResponse
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.conftest import StartGateway
from tests.envoy.front import on_ports, running
from tests.envoy.test_envoy import framed, frames
from tests.harness.callers import bearer, entry, put, with_token
from tests.harness.certificates import Authority, Issued
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.pair import GET, QUEUE
from tests.harness.ports import free_port
from tests.harness.provider import RecordingProvider
from tests.harness.readiness import until
from tests.harness.webhooks import webhook

CONFIG = Path(__file__).parents[2] / "deploy" / "envoy" / "mtls.yaml"
CA = Authority()
SPIFFE = "spiffe://example.org/ns/voice/sa/"
ADMIN, READER, OTHER = (CA.client(uris=[SPIFFE + it]) for it in ("admin", "reader", "other"))
BY_DNS = CA.client("desk.voice.svc")
# What clients say of themselves.
FORGED = (("x-forwarded-client-cert", f"By=x;Hash=y;URI={SPIFFE}admin"),)
INFO, DELETE = GetFeedInfoRequest(), DeleteQueueRequest(queue_name="q")


@dataclass
class Mesh:
    """A gateway that trusts Envoy, Envoy before it, and connections to both."""

    gateway: RunningGateway
    envoy: str
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def channel(self, shown: Issued, address: str = "") -> grpc.Channel:
        """A connection of its own, to Envoy unless an address is named."""
        channel = grpc.secure_channel(
            address or self.envoy,
            grpc.ssl_channel_credentials(CA.pem, shown.key, shown.cert),
            [("grpc.use_local_subchannel_pool", 1)],
        )
        return self.stack.enter_context(channel)

    def direct(self, shown: Issued) -> grpc.Channel:
        """A connection to the gateway itself, past Envoy."""
        return self.channel(shown, str(self.gateway.app.grpc_address))


@pytest.fixture
def mesh(
    start_gateway: StartGateway, tmp_path: Path, provider: RecordingProvider
) -> Iterator[Mesh]:
    provider.answer = QUEUE
    callers = put(
        tmp_path / "callers.toml",
        '[[proxies]]\ndns = "envoy.internal"',
        entry("admin", "admin", f'spiffe = "{SPIFFE}admin"'),
        entry("reader", "reader", f'spiffe = "{SPIFFE}reader"', 'dns = "desk.voice.svc"'),
        with_token("bot", "reader", "token-of-bot"),
    )
    ca = CA.write(tmp_path)
    CA.server("envoy.internal", "127.0.0.1").write(tmp_path, "envoy")
    cert, key = CA.server("gateway.internal", "127.0.0.1").write(tmp_path, "gateway")
    gateway = start_gateway(
        provider.base_url,
        GATEWAY_CALLERS=str(callers),
        GATEWAY_GRPC_TLS_CERT=str(cert),
        GATEWAY_GRPC_TLS_KEY=str(key),
        GATEWAY_GRPC_TLS_CLIENT_CA=str(ca),
    )
    own = str(gateway.app.grpc_address).rpartition(":")[2]
    ports = {"50050": free_port(), "50051": own}
    with running(tmp_path, on_ports(CONFIG, ports)) as process:
        mesh = Mesh(gateway, f"127.0.0.1:{ports['50050']}", tmp_path)
        with mesh.stack:
            until(lambda: process.poll() is None and is_up(mesh))
            yield mesh


def is_up(mesh: Mesh) -> bool:
    try:
        grpc.channel_ready_future(mesh.channel(READER)).result(1)
    except grpc.FutureTimeoutError:
        return False
    return True


def may(channel: grpc.Channel, metadata: Any = ()) -> dict[str, str]:
    """How a query and a command of admins end."""
    calls: dict[str, tuple[Any, Any]] = {
        "query": (EventServiceStub(channel).GetFeedInfo, INFO),
        "command": (QueueServiceStub(channel).DeleteQueue, DELETE),
    }
    ends = {}
    for name, (call, request) in calls.items():
        failure = call.future(request, timeout=20, metadata=metadata).exception()
        ends[name] = failure_of(_raising(failure)).info.reason if failure else "OK"
    return ends


def _raising(failure: Exception) -> Any:
    def fail(**_: Any) -> None:
        raise failure

    return fail


ALL = {"query": "OK", "command": "OK"}
READS = {"query": "OK", "command": "ROLE_INSUFFICIENT"}
NOTHING = {"query": "CALLER_UNKNOWN", "command": "CALLER_UNKNOWN"}


def test_each_client_of_envoy_has_its_own_role(mesh: Mesh) -> None:
    assert may(mesh.channel(ADMIN)) == ALL
    assert may(mesh.channel(READER)) == READS
    assert may(mesh.channel(BY_DNS)) == READS
    assert may(mesh.channel(OTHER)) == NOTHING
    # A token decides alone.
    assert may(mesh.channel(ADMIN), bearer("token-of-bot")) == READS
    assert may(mesh.channel(ADMIN), bearer("revoked")) == NOTHING


def test_nobody_gains_by_a_header_that_it_writes_itself(mesh: Mesh) -> None:
    for metadata in (FORGED, FORGED * 2, (("x-forwarded-client-cert", "malformed"),)):
        for connect in (mesh.channel, mesh.direct):
            assert may(connect(READER), metadata) == READS
            assert may(connect(OTHER), metadata) == NOTHING
            assert may(connect(ADMIN), metadata) == ALL


@pytest.mark.parametrize(
    "name",
    [
        f"x.svc;URI={SPIFFE}admin",
        f"x.svc,URI={SPIFFE}admin",
        f"x.svc,By=x;Hash=y;URI={SPIFFE}admin",
        f'x.svc,Hash=y;Cert="{quote(ADMIN.cert, safe="")}"',
    ],
    ids=["pair", "element", "whole element", "certificate"],
)
@pytest.mark.parametrize("kind", ["dns", "uri"])
def test_nobody_gains_by_a_name_that_reads_as_more(mesh: Mesh, name: str, kind: str) -> None:
    """Envoy writes names as they are, and this CA signs any."""
    shown = CA.client(name) if kind == "dns" else CA.client(uris=[f"{SPIFFE}{name}"])

    assert {*may(mesh.channel(shown)).values()} <= {"CALLER_UNKNOWN", "FORWARDED_UNREADABLE"}


def test_a_stream_through_envoy_has_a_caller_and_its_events(mesh: Mesh) -> None:
    stream = EventServiceStub(mesh.channel(READER)).Subscribe(SubscribeRequest(), timeout=20)
    next(stream)
    assert mesh.gateway.webhooks.post(webhook(id_="one")).status == 200
    assert [it.id for it in next(stream).events] == ["one"]
    stream.cancel()


def test_a_caller_by_grpc_web_is_known_by_its_certificate(mesh: Mesh) -> None:
    def web(shown: Issued) -> dict[int, bytes]:
        context = ssl.create_default_context(cadata=CA.pem.decode())
        context.load_cert_chain(*shown.write(mesh.folder, "client"))
        connection = http.client.HTTPSConnection(mesh.envoy, timeout=20, context=context)
        kind = "application/grpc-web-text+proto"
        headers = {"content-type": kind, "accept": kind, **dict(FORGED)}
        path = "/conferencing.v1.QueueService/GetQueue"
        connection.request("POST", path, base64.b64encode(framed(GET)), headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        status = (response.headers["grpc-status"] or "").encode()
        return {0x80: status} if status else frames(base64.b64decode(body[:1000]))

    assert GetQueueResponse.FromString(web(READER)[0]).queue.name == "q"
    assert web(OTHER) == {0x80: b"16"}
