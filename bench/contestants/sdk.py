"""The provider's official Python SDK, which is what Python programs use without a gateway."""

from bench.calls import UnaryCall
from bench.contestants.contestant import CheckError, Described
from bench.load import CONCURRENCY, Load, LoadError
from bench.processes import Processes, ProcessFailedError
from bench.worker import Order, Worker

SDK = Described(
    "sdk",
    "official Python SDK",
    "no gRPC: the process that calls is the one measured, and its own load generator",
)


class SdkContestant:
    """A worker that calls the upstream with the SDK."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    @property
    def described(self) -> Described:
        return SDK

    def check(self, call: UnaryCall) -> None:
        try:
            self._worker.work(Order(call.name, 1, 1))
        except ProcessFailedError as error:
            raise CheckError(f"{SDK.title} fails {call.name}: {error}") from None

    def load(self, call: UnaryCall, calls: int) -> Load:
        before = self._worker.process.cpu_s()
        try:
            report = self._worker.work(Order(call.name, calls, CONCURRENCY))
        except ProcessFailedError as error:
            raise LoadError(str(error)) from None
        after = self._worker.process.cpu_s()
        spent = None if before is None or after is None else after - before
        return Load(calls, report.seconds, spent)


def start_sdk(processes: Processes, upstream_url: str) -> SdkContestant:
    """Start a process that calls an upstream with the SDK."""
    return SdkContestant(Worker.start(processes, "sdk", upstream_url, measured=True))
