"""Loads on gRPC servers, made by h2load.

h2load, and not a client of our own: a Python client of many connections is slower than most of the
servers here and would measure itself. h2load takes some 10 us per call on one thread. What it does
not do is read answers. So each load proves itself otherwise: a real client has checked the answer
before, every call has to bring an answer of exactly that length (failed calls bring none), and the
upstream has to have been asked as often.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench import tools
from bench.processes import Processes

# As many connections as a small fleet of clients has, and the calls in flight on each.
CONNECTIONS = 4
CALLS_PER_CONNECTION = 8
CONCURRENCY = CONNECTIONS * CALLS_PER_CONNECTION

# No load is expected to take longer; it is cut off then, in seconds.
_LOAD_S_MAX = 60.0

_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s), ")
_REQUESTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_STATUSES = re.compile(r"status codes: (\d+) 2xx")
_DATA = re.compile(r"\((\d+)\) data")

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

# What is sent beside a call's message.
Metadata: TypeAlias = Sequence[tuple[str, str]]


class LoadError(Exception):
    """A load did not get the answers it should have; nothing it measured counts."""


@dataclass(frozen=True, slots=True)
class Load:
    """A load that got all its answers."""

    calls: int
    seconds: float
    # Processor time that the measured process used meanwhile; None where it is not known.
    cpu_s: float | None = None

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


def framed(message: bytes) -> bytes:
    """Return a message as gRPC puts it on the wire: not compressed, its length, its bytes."""
    return struct.pack(">BI", 0, len(message)) + message


class H2load:
    """Sends the same call many times, `CONCURRENCY` at a time."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._program = tools.program("h2load")

    def run(
        self,
        address: str,
        rpc_path: str,
        request: bytes,
        answer_length: int,
        calls: int,
        metadata: Metadata = (),
    ) -> Load:
        """Make `calls` calls. Raises LoadError unless each brings `answer_length` bytes."""
        body = self._body(request)
        output = self._processes.run(
            [
                self._program,
                f"--clients={CONNECTIONS}",
                f"--max-concurrent-streams={CALLS_PER_CONNECTION}",
                "--threads=1",
                f"--requests={calls}",
                f"--data={body}",
                "--header=content-type: application/grpc",
                "--header=te: trailers",
                *(f"--header={name}: {value}" for name, value in metadata),
                f"http://{address}{rpc_path}",
            ],
            _LOAD_S_MAX,
        )
        return _read(output, calls, len(framed(bytes(answer_length))))

    def _body(self, request: bytes) -> Path:
        path = self._processes.folder / "request.bin"
        path.write_bytes(framed(request))
        return path


def _read(output: str, calls: int, frame_length: int) -> Load:
    finished, requests = _FINISHED.search(output), _REQUESTS.search(output)
    statuses, data = _STATUSES.search(output), _DATA.search(output)
    if not (finished and requests and statuses and data):
        raise LoadError(f"h2load says what cannot be read:\n{output}")
    if requests.groups() != (str(calls), "0", "0", "0") or int(statuses[1]) != calls:
        raise LoadError(f"not all calls were answered: {requests[0]}, {statuses[0]}")
    if int(data[1]) != calls * frame_length:
        raise LoadError(
            f"{calls} answers of {frame_length} bytes should have come, "
            f"not {int(data[1])} bytes: some calls failed"
        )
    return Load(calls, float(finished[1]) * _UNITS[finished[2]])
