"""Behind a real Envoy: a shutdown with 200 calls and 200 streams open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.envoy.conftest import CONFIG
from tests.envoy.front import Front, on_ports, running
from tests.harness.full_drain import nobody_loses_anything
from tests.harness.pair import GET
from tests.harness.ports import free_port
from tests.harness.process import GatewayProcess
from tests.harness.readiness import until


def has_a_way(call: Any, request: Any) -> bool:
    """Whether a call gets through."""
    with suppress(grpc.RpcError):
        call(request, timeout=20)
        return True
    return False


def test_nobody_loses_anything_behind_envoy(tmp_path: Path) -> None:
    """The second of the gateways that Envoy knows is the successor of the first."""
    listener, admin, *gateways = (free_port() for _ in range(4))
    ports = {"50050": listener, "9901": admin, "50051": gateways[0], "50052": gateways[1]}
    # Tests do not wait for seconds.
    text = on_ports(CONFIG, ports).replace("interval: 2s", "interval: 0.1s")
    front = Front(f"127.0.0.1:{listener}", f"127.0.0.1:{admin}")

    @contextmanager
    def reach(gateway: GatewayProcess) -> Iterator[Sequence[grpc.Channel]]:
        until(front.is_up)
        channel = grpc.insecure_channel(front.address)
        # What its operator sees of the gateway's health, its worker may not have heard yet.
        until(lambda: has_a_way(QueueServiceStub(channel).GetQueue, GET))
        until(lambda: has_a_way(EventServiceStub(channel).GetFeedInfo, GetFeedInfoRequest()))
        yield [channel]

    settings = [{"GATEWAY_GRPC_ADDRESS": f"127.0.0.1:{it}"} for it in gateways]
    with running(tmp_path, text):
        nobody_loses_anything(tmp_path, reach, settings)
