"""The gateway, started as its users start it, with everything on."""

import base64
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from nacl.signing import SigningKey

from bench import calls
from bench.calls import UnaryCall
from bench.contestants.contestant import Described
from bench.contestants.rpc import RpcContestant
from bench.load import H2load, Metadata
from bench.processes import Process, Processes, free_port, wait_for_port
from conferencing.v1.conference_service_pb2 import GetConferenceResponse, JoinConferenceResponse

GATEWAY = Described(
    "gateway",
    "this gateway",
    "validation, error details, receipts and metrics on; one process",
)

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})

COMMAND = (sys.executable, "-m", "gateway", "serve")


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """A gateway that runs, and where it listens."""

    process: Process
    grpc_port: int
    http_port: int

    @property
    def address(self) -> str:
        """Its gRPC address."""
        return f"127.0.0.1:{self.grpc_port}"


def launch_gateway(
    processes: Processes,
    upstream_url: str,
    public_key: str,
    log: Path,
    command: Sequence[str] = COMMAND,
    env: Mapping[str, str] = NOTHING_MORE,
    ports: tuple[int, int] | None = None,
) -> GatewayProcess:
    """Start the gateway with an event log of its own; returns when it listens.

    `env` is set beside what it needs. `ports` are those of gRPC and of webhooks, free ones if it
    does not matter which.
    """
    grpc_port, http_port = ports or (free_port(), free_port())
    process = processes.start(
        "gateway",
        command,
        {
            "TELNYX_API_KEY": calls.API_KEY,
            "TELNYX_PUBLIC_KEY": public_key,
            "TELNYX_BASE_URL": upstream_url,
            "GATEWAY_GRPC_ADDRESS": f"127.0.0.1:{grpc_port}",
            "GATEWAY_HTTP_ADDRESS": f"127.0.0.1:{http_port}",
            "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
            "GATEWAY_EVENT_LOG": f"sqlite:///{log}",
            # The upstream knows the measured operations only.
            "GATEWAY_UPSTREAM_PROBE": "off",
            **env,
        },
        measured=True,
    )
    wait_for_port(process, grpc_port)
    return GatewayProcess(process, grpc_port, http_port)


def start_gateway(
    processes: Processes,
    h2load: H2load,
    upstream_url: str,
    command: Sequence[str] = COMMAND,
    described: Described = GATEWAY,
    env: Mapping[str, str] = NOTHING_MORE,
    metadata: Metadata = (),
) -> RpcContestant:
    """Start the gateway in front of an upstream, to be called with this metadata.

    `env` is set beside the rest.
    """
    public_key = base64.b64encode(bytes(SigningKey.generate().verify_key)).decode()
    log = processes.folder / f"unary-events-{described.name}.db"
    gateway = launch_gateway(processes, upstream_url, public_key, log, command, env)
    return RpcContestant(described, gateway.process, gateway.address, h2load, _verdict, metadata)


def _verdict(call: UnaryCall, answer: bytes) -> str | None:
    if call is calls.JOIN:
        receipt = JoinConferenceResponse.FromString(answer).receipt
        if receipt.command_id == calls.COMMAND_ID and receipt.result == "ok" and receipt.cursor:
            return None
        return f"the receipt is {receipt}"
    conference = GetConferenceResponse.FromString(answer).conference
    if conference.id == calls.CONFERENCE_ID and conference.ended_by.call_control_id:
        return None
    return f"the conference is {conference}"
