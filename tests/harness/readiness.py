"""What a gateway says of itself: `/readyz`, the gRPC health service, and waiting for either."""

import time
from collections.abc import Callable

from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.harness.gateway import RunningGateway
from tests.harness.pages import http_get


def ready(gateway: RunningGateway) -> tuple[int, str]:
    return http_get(gateway.admin_address, "/readyz")


def serving(gateway: RunningGateway, service: str) -> bool:
    stub = health_pb2_grpc.HealthStub(gateway.channel)
    found = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    return bool(found == health_pb2.HealthCheckResponse.SERVING)


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.02)
