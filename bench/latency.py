"""What a call takes longer through the gateway, one call at a time."""

from dataclasses import dataclass
from statistics import median, quantiles

from bench.calls import UnaryCall
from bench.figures import ImpossibleFigureError
from bench.processes import Processes
from bench.worker import Order, Worker

# Blocks are short, so that the three take turns several times a second.
_BLOCKS = 12
_CALLS_PER_BLOCK = 60

# Calls that open connections and warm caches; not counted.
_WARM_UP_CALLS = 60


@dataclass(frozen=True, slots=True)
class Duration:
    """How long calls of one kind took, in seconds."""

    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one call at a time takes: through the gateway, directly, and as a bare echo.

    Raises ImpossibleFigureError if the way through the gateway took less than its two parts: then
    one of the parts was not measured as the gateway has it.
    """

    gateway: Duration
    direct: Duration
    echo: Duration

    def __post_init__(self) -> None:
        if self.added_beyond_grpc_s < 0:
            raise ImpossibleFigureError(
                f"a call through the gateway took {self.gateway.median * 1e3:.3f} ms, less than"
                f" asking the provider directly ({self.direct.median * 1e3:.3f} ms) and a bare gRPC"
                f" round trip ({self.echo.median * 1e3:.3f} ms) together, of which it consists"
            )

    @property
    def added_s(self) -> float:
        """What the gateway adds to calling the provider directly."""
        return self.gateway.median - self.direct.median

    @property
    def added_beyond_grpc_s(self) -> float:
        """What of that is not explained by gRPC itself, client and server, in Python."""
        return self.added_s - self.echo.median


def measure_latency(
    processes: Processes, call: UnaryCall, gateway: str, echo: str, upstream_url: str
) -> Latency:
    """Call each in turn, with a sequential client in a process of its own.

    Raises ProcessFailedError if a call fails, and ImpossibleFigureError; see `Latency`.

    The direct calls come from the core the gateway runs on: on their way to the upstream they
    cross from core to core just as the gateway's do.
    """
    workers = {
        "gateway": Worker.start(processes, "rpc", gateway, measured=False),
        "direct": Worker.start(processes, "transport", upstream_url, measured=True),
        "echo": Worker.start(processes, "rpc", echo, measured=False),
    }
    durations: dict[str, list[float]] = {name: [] for name in workers}
    for worker in workers.values():
        worker.work(Order(call.name, _WARM_UP_CALLS, 1))
    for _ in range(_BLOCKS):
        for name, worker in workers.items():
            durations[name] += worker.work(Order(call.name, _CALLS_PER_BLOCK, 1)).durations
    return Latency(**{name: _duration(values) for name, values in durations.items()})


def _duration(values: list[float]) -> Duration:
    return Duration(median(values), quantiles(values, n=20)[-1])
