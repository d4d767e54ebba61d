"""A gateway that does what a test tells it to: for what a real one does rarely."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from conferencing.v1 import conference_service_pb2_grpc, event_service_pb2_grpc
from conferencing.v1.common_pb2 import CommandReceipt
from conferencing.v1.conference_service_pb2 import SpeakTextRequest, SpeakTextResponse
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse


@dataclass(frozen=True)
class Refusal:
    """A status with details."""

    code: grpc.StatusCode
    details: Sequence[Message] = ()

    def end(self, context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=self.code.value[0], message="as told")
        for it in self.details:
            packed = Packed()
            packed.Pack(it)
            status.details.append(packed)
        context.abort_with_status(rpc_status.to_status(status))


@dataclass(frozen=True)
class Silence:
    """A call that stays open, on which nothing comes any more."""

    def hold(self, context: grpc.ServicerContext, closed: Flag) -> None:
        """Wait until the caller has left, or the gateway closes."""
        ended = Flag()
        context.add_callback(ended.set)
        while not (closed.is_set() or ended.wait(0.1)):
            pass


Step = SubscribeResponse | Refusal | Silence


@dataclass(frozen=True)
class Sent:
    """What came with a command."""

    command_id: str
    authorization: str
    left_s: float


@dataclass
class Script:
    """How commands end, one after the other, and what streams do; then the last again."""

    commands: list[Refusal | Silence | None] = field(default_factory=lambda: [None])
    streams: list[list[Step]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    subscribed: list[SubscribeRequest] = field(default_factory=list)


class ScriptedGateway:
    """Serves from construction on, in TLS if there are credentials."""

    def __init__(self, script: Script, tls: grpc.ServerCredentials | None = None) -> None:
        self._closed = Flag()
        self._server = grpc.server(ThreadPoolExecutor(8))
        conference_service_pb2_grpc.add_ConferenceServiceServicer_to_server(
            _Conferences(script, self._closed),  # type: ignore[abstract]
            self._server,
        )
        event_service_pb2_grpc.add_EventServiceServicer_to_server(
            _Events(script, self._closed),  # type: ignore[abstract]
            self._server,
        )
        healthy = health.HealthServicer()
        healthy.set("conferencing.v1.ConferenceService", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(healthy, self._server)
        anywhere = "127.0.0.1:0"
        port = (
            self._server.add_insecure_port(anywhere)
            if tls is None
            else self._server.add_secure_port(anywhere, tls)
        )
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def __enter__(self) -> "ScriptedGateway":
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._server.stop(None).wait()


class _Conferences(conference_service_pb2_grpc.ConferenceServiceServicer):
    def __init__(self, script: Script, closed: Flag) -> None:
        self._script = script
        self._closed = closed

    def SpeakText(self, request: SpeakTextRequest, context: Any) -> SpeakTextResponse:
        metadata = dict(context.invocation_metadata())
        self._script.sent.append(
            Sent(request.command_id, metadata.get("authorization", ""), context.time_remaining())
        )
        match _next(self._script.commands):
            case Refusal() as refusal:
                refusal.end(context)
            case Silence() as silence:
                silence.hold(context, self._closed)
        receipt = CommandReceipt(command_id=request.command_id, cursor="c", result="ok")
        return SpeakTextResponse(receipt=receipt)


class _Events(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self, script: Script, closed: Flag) -> None:
        self._script = script
        self._closed = closed

    def Subscribe(self, request: SubscribeRequest, context: Any) -> Iterator[SubscribeResponse]:
        self._script.subscribed.append(request)
        for step in _next(self._script.streams):
            match step:
                case SubscribeResponse():
                    yield step
                case Refusal():
                    step.end(context)
                case Silence():
                    step.hold(context, self._closed)


def _next(steps: list[Any]) -> Any:
    return steps.pop(0) if len(steps) > 1 else steps[0]


def response(cursor: str, *ids: str, **more: Any) -> SubscribeResponse:
    return SubscribeResponse(cursor=cursor, events=[Event(id=it) for it in ids], **more)
