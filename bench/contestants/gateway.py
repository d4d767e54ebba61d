"""The gateway, started as its users start it, with everything on."""

import base64
import sys
from collections.abc import Sequence

from nacl.signing import SigningKey

from bench import calls
from bench.calls import UnaryCall
from bench.contestants.contestant import Described
from bench.contestants.rpc import RpcContestant
from bench.load import H2load
from bench.processes import Processes, free_port, wait_for_port
from conferencing.v1.conference_service_pb2 import GetConferenceResponse, JoinConferenceResponse

GATEWAY = Described(
    "gateway",
    "this gateway",
    "validation, error details, receipts and metrics on; one process",
)

COMMAND = (sys.executable, "-m", "gateway", "serve")


def start_gateway(
    processes: Processes, h2load: H2load, upstream_url: str, command: Sequence[str] = COMMAND
) -> RpcContestant:
    """Start the gateway in front of an upstream."""
    public_key = base64.b64encode(bytes(SigningKey.generate().verify_key)).decode()
    grpc_port, http_port = free_port(), free_port()
    process = processes.start(
        "gateway",
        command,
        {
            "TELNYX_API_KEY": calls.API_KEY,
            "TELNYX_PUBLIC_KEY": public_key,
            "TELNYX_BASE_URL": upstream_url,
            "GATEWAY_GRPC_ADDRESS": f"127.0.0.1:{grpc_port}",
            "GATEWAY_HTTP_ADDRESS": f"127.0.0.1:{http_port}",
            "GATEWAY_EVENT_LOG": f"sqlite:///{processes.folder / f'events-{grpc_port}.db'}",
        },
        measured=True,
    )
    wait_for_port(process, grpc_port)
    return RpcContestant(GATEWAY, process, f"127.0.0.1:{grpc_port}", h2load, _verdict)


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
