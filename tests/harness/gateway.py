"""A whole gateway on free ports, and blocking stubs to call it with."""

import re
import time
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from gateway.app import Gateway
from gateway.config import load_settings
from gateway.journal.ports import EventLog
from tests.harness.loop import LoopThread
from tests.harness.pages import http_get
from tests.harness.webhooks import Poster, Signer


class RunningGateway:
    """Started at construction; `stop` drains it, after which the same folder can be used again."""

    def __init__(
        self,
        loop: LoopThread,
        folder: Path,
        base_url: str,
        public_key: str | None = None,
        **env: str,
    ) -> None:
        self._loop = loop
        self.signer = Signer()
        settings = load_settings(
            {
                "TELNYX_API_KEY": "KEY0123456789",
                "TELNYX_PUBLIC_KEY": public_key or self.signer.public_key,
                "TELNYX_BASE_URL": base_url,
                "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
                "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
                "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
                "GATEWAY_EVENT_LOG": f"sqlite:///{folder / 'events.db'}",
                # Their questions would stand among what a test looks for at the provider.
                "GATEWAY_BACKFILL": "off",
                "GATEWAY_UPSTREAM_PROBE": "off",
                **env,
            }
        )
        self.app = loop.run(Gateway.start(settings))
        self._stopped = False
        self.http_address = str(self.app.http_address)
        self.admin_address = str(self.app.admin_address)
        self.channel = grpc.insecure_channel(str(self.app.grpc_address))
        self.conferences = ConferenceServiceStub(self.channel)
        self.queues = QueueServiceStub(self.channel)
        self.events = EventServiceStub(self.channel)
        self.webhooks = Poster(self.http_address, self.signer)

    @property
    def webhook_url(self) -> str:
        return f"http://{self.http_address}/webhooks/telnyx"

    @property
    def log(self) -> EventLog:
        return self.app._log

    def metrics(self) -> str:
        return http_get(self.admin_address, "/metrics")[1]

    def gauge(self, name: str) -> float:
        text = self.metrics()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def wait_for_upstream(self, **gauges: int) -> None:
        """Wait until the requests to the provider are so many: in_flight, abandoned, waiting."""
        ends = time.monotonic() + 20
        while any(self.gauge(f"gateway_upstream_{name}") != it for name, it in gauges.items()):
            assert time.monotonic() < ends
            time.sleep(0.01)

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._loop.run(self.app.stop())

    def close(self) -> None:
        # The client first: a server gives those who are still there half a second to hear its end.
        self.channel.close()
        self.stop()


class Failure:
    """An RPC's status with its details unpacked."""

    def __init__(self, error: Any) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details() or ""
        self.status: status_pb2.Status = rpc_status.from_call(error)

    def detail(self, kind: Any) -> Any:
        for packed in self.status.details if self.status else ():
            if packed.Is(kind.DESCRIPTOR):
                detail = kind()
                packed.Unpack(detail)
                return detail
        return None

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        info: error_details_pb2.ErrorInfo = self.detail(error_details_pb2.ErrorInfo)
        return info

    @property
    def violations(self) -> dict[str, str]:
        request = self.detail(error_details_pb2.BadRequest)
        return {it.field: it.description for it in request.field_violations} if request else {}


def failure_of(call: Any, *args: Any, **kwargs: Any) -> Failure:
    """Make a call that must fail, and return how it did. Streams are read to their end."""
    try:
        result = call(*args, timeout=kwargs.pop("timeout", 20), **kwargs)
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as error:
        return Failure(error)
    raise AssertionError("the call succeeded")
