"""What all contestants that speak gRPC have in common."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from bench.calls import UnaryCall
from bench.contestants.contestant import CheckError, Described
from bench.load import H2load, Load, Metadata
from bench.processes import READY_S, Process

# Says what is wrong with an answer, None if nothing is.
Verdict = Callable[[UnaryCall, bytes], str | None]


class RpcContestant:
    """A gRPC server in a process. `verdict` judges the answers of the check.

    `metadata` is sent with each call.
    """

    def __init__(
        self,
        described: Described,
        process: Process,
        address: str,
        h2load: H2load,
        verdict: Verdict,
        metadata: Metadata = (),
    ) -> None:
        self._described = described
        self._h2load = h2load
        self._verdict = verdict
        self._metadata = tuple(metadata)
        self._answer_lengths: dict[str, int] = {}
        self.process = process
        self.address = address

    @property
    def described(self) -> Described:
        return self._described

    def answer_length(self, call: UnaryCall) -> int:
        """How many bytes the answer to a call has that was checked before."""
        return self._answer_lengths[call.name]

    def check(self, call: UnaryCall) -> None:
        answer = self._answer(call)
        wrong = self._verdict(call, answer)
        if wrong is not None:
            raise CheckError(f"{self._described.title} answers {call.name} wrongly: {wrong}")
        self._answer_lengths[call.name] = len(answer)

    def load(self, call: UnaryCall, calls: int) -> Load:
        before = self.process.cpu_s()
        load = self._h2load.run(
            self.address,
            call.rpc_path,
            call.request.SerializeToString(),
            self.answer_length(call),
            calls,
            self._metadata,
        )
        after = self.process.cpu_s()
        if before is None or after is None:
            return load
        return replace(load, cpu_s=after - before)

    def _answer(self, call: UnaryCall) -> bytes:
        # A proxy is never on the way to this machine itself.
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(self.address, options) as channel:
            method: Any = channel.unary_unary(call.rpc_path)
            request = call.request.SerializeToString()
            try:
                answer: bytes = method(
                    request, timeout=READY_S, wait_for_ready=True, metadata=self._metadata
                )
            except grpc.RpcError as error:
                raise CheckError(
                    f"{self._described.title} does not answer {call.name}: {error}"
                ) from None
        return answer
