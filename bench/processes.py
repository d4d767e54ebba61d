"""Processes of a run: where they run, when they are ready, and that none outlives the run."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

# How long a process may take to be ready, in seconds: importing everything takes two on a busy
# machine.
READY_S = 30.0

# How long a process may take to end by itself, in seconds.
STOP_S = 5.0

# What of a process's log is shown when it fails, in characters.
_LOG_TAIL = 2_000


class ProcessFailedError(Exception):
    """A process ended or was not ready in time; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores processes run on. No cores: wherever the system likes.

    What is measured has one core for itself, and what feeds it (load and upstream) has another.
    So every contestant is given the same, one core, whatever the others on the machine do, and no
    contestant is made slower by its own load. Left alone, the system moves them around, and those
    with more threads than one take the load's core away.
    """

    measured: frozenset[int] = frozenset()
    rest: frozenset[int] = frozenset()

    @classmethod
    def split(cls) -> "Cores":
        """Give one core to what is measured and another to the rest, if there are two."""
        if not hasattr(os, "sched_getaffinity"):
            return cls()
        cores = sorted(os.sched_getaffinity(0))
        return cls(frozenset(cores[:1]), frozenset(cores[1:2])) if len(cores) > 1 else cls()


NO_CORES = Cores()


class Process:
    """A process that was started here."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self._popen = popen
        self._log = log

    def log_tail(self) -> str:
        """Return the end of what it wrote to standard error."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def check(self) -> None:
        """Raise ProcessFailedError if it has ended."""
        code = self._popen.poll()
        if code is not None:
            raise ProcessFailedError(f"{self.name} ended with {code}:\n{self.log_tail()}")

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    def cpu_s(self) -> float | None:
        """Return the processor time it has used so far in seconds, None where it is not known."""
        return _cpu_s(Path(f"/proc/{self.pid}/stat"))

    def memory_bytes(self) -> int | None:
        """Return how much memory it holds (its resident set), None where it is not known."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def main_thread_cpu_s(self) -> float | None:
        """Return what its main thread has used of that."""
        return _cpu_s(Path(f"/proc/{self.pid}/task/{self.pid}/stat"))

    def ask(self, line: str) -> str:
        """Write a line to it and return the line it answers. Raises ProcessFailedError."""
        self.write_line(line)
        return self.read_line()

    def write_line(self, line: str) -> None:
        """Write a line to it; that it has ended is noticed when its answer is read."""
        with contextlib.suppress(BrokenPipeError):
            _input(self._popen).write(line.encode() + b"\n")
            _input(self._popen).flush()

    def read_line(self) -> str:
        """Return the next line it writes. Raises ProcessFailedError if it ends before."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            self._popen.wait(STOP_S)
            self.check()
        return line.decode().rstrip("\n")

    def terminate(self) -> None:
        """Ask it to end."""
        if self._popen.poll() is None:
            self._popen.terminate()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._popen.kill()
        self._popen.wait()

    def end(self) -> None:
        """Wait until it has ended, and kill it if it does not by itself."""
        try:
            self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Processes:
    """All processes of a run and the folder they work in; both are gone when the run ends."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self._running: list[Process] = []

    @property
    def folder(self) -> Path:
        """Where files of this run may be put."""
        return Path(self._folder.name)

    def start_module(self, module: str, *arguments: str, measured: bool) -> Process:
        """Start a module of the bench."""
        return self.start(module, [sys.executable, "-m", module, *arguments], {}, measured=measured)

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str], *, measured: bool
    ) -> Process:
        """Start a process, on the measured core or on that of the rest."""
        log = self.folder / f"{len(self._running)}-{name}.log"
        with log.open("wb") as stderr, on_cores(self._cores_of(measured)):
            popen = subprocess.Popen(
                command,
                env={**_clean_environment(), **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # Ctrl-C goes to the bench alone, which then ends everything in order.
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self._running.append(process)
        return process

    def run(self, command: Sequence[str], timeout_s: float) -> str:
        """Run a command of the rest to its end and return what it printed.

        Raises ProcessFailedError if it fails or takes too long.
        """
        try:
            with on_cores(self._cores_of(False)):
                done = subprocess.run(
                    command,
                    env=_clean_environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=timeout_s,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            raise ProcessFailedError(f"{command[0]} took more than {timeout_s:g} s") from None
        if done.returncode:
            raise ProcessFailedError(f"{command[0]} failed:\n{done.stderr[-_LOG_TAIL:]}")
        return done.stdout

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.end()
        self._folder.cleanup()

    def _cores_of(self, measured: bool) -> frozenset[int]:
        return self.cores.measured if measured else self.cores.rest


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run on these cores, and let processes that are started meanwhile inherit them."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(process: Process, port: int) -> None:
    """Return when a process listens on a port. Raises ProcessFailedError."""
    give_up = time.monotonic() + READY_S
    while time.monotonic() < give_up:
        process.check()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise ProcessFailedError(f"{process.name} was not ready in time:\n{process.log_tail()}")


def announce_port(port: int) -> None:
    """In a process that the bench started: say which port it listens on."""
    print(port, flush=True)


async def until_input_ends() -> None:
    """In a process that the bench started: return when the bench is gone."""
    await asyncio.to_thread(sys.stdin.read)


def _cpu_s(stat: Path) -> float | None:
    try:
        text = stat.read_text()
    except OSError:
        return None
    # After the name, which may hold blanks: the 12th and 13th are user and system time.
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _clean_environment() -> dict[str, str]:
    # Settings of a gateway of the user's own and proxies have no place in here.
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWAY_", "OTEL_", "TELNYX_"))
        and not name.lower().endswith("_proxy")
    }


def _input(popen: subprocess.Popen[bytes]) -> IO[bytes]:
    assert popen.stdin is not None
    return popen.stdin
