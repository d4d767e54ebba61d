"""The bare echo: what any gRPC server in Python can do at the most."""

from bench.calls import CALLS, UnaryCall
from bench.contestants.contestant import Described
from bench.contestants.rpc import RpcContestant
from bench.load import H2load
from bench.processes import Processes

BARE_ECHO = Described(
    "bare_echo",
    "bare `grpc.aio` echo",
    "answers prepared bytes of the same lengths without asking anybody",
    asks_upstream=False,
)


def start_bare_echo(
    processes: Processes, h2load: H2load, answer_lengths: dict[str, int]
) -> RpcContestant:
    """Start the echo; its answers have the lengths given by call."""
    process = processes.start_module(
        "bench.echo_server",
        *(f"{name}={answer_lengths[name]}" for name in CALLS),
        measured=True,
    )
    address = f"127.0.0.1:{process.read_line()}"

    def verdict(call: UnaryCall, answer: bytes) -> str | None:
        length = answer_lengths[call.name]
        return None if len(answer) == length else f"{len(answer)} bytes instead of {length}"

    return RpcContestant(BARE_ECHO, process, address, h2load, verdict)
