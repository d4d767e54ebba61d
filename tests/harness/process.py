"""The gateway as users start it: a process of its own, by its command line."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from time import monotonic, sleep
from types import TracebackType

import grpc

from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from tests.harness.holding import go_on, hold
from tests.harness.webhooks import Poster, Signer

ROOT = Path(__file__).parents[2]

# How long a command may take that ends by itself, in seconds: one that hangs fails the test.
_RAN_S = 120.0

# How long the rest of the log of a process that has ended may take to be read, in seconds.
_READ_S = 10.0

# How long a pipe has to be full before it stays so, in seconds: its reader has a buffer, too.
_FULL_S = 0.2


def command(*arguments: str, module: str = "gateway") -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def environment(**env: str) -> dict[str, str]:
    """The environment without settings of the one who runs the tests."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWAY_", "OTEL_", "TELNYX_"))
    }
    return {**clean, "PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}", **env}


def ran(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the gateway's in a folder to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=_RAN_S,
        check=False,
    )


class GatewayProcess:
    """Serves from construction on; use as a context manager.

    `descriptors`, if given, is how many files and connections it may have open.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        module: str = "gateway",
        descriptors: str = "",
        **env: str,
    ) -> None:
        self.signer = Signer()
        serve = command("serve", *arguments, module=module)
        if descriptors:
            serve = ["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *serve]
        self._process = subprocess.Popen(
            serve,
            cwd=folder,
            env=environment(
                **{
                    "TELNYX_API_KEY": "KEY0123456789",
                    "TELNYX_PUBLIC_KEY": self.signer.public_key,
                    "TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
                    "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_BACKFILL": "off",
                    "GATEWAY_UPSTREAM_PROBE": "off",
                    **env,
                }
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._reads = threading.Event()
        self._reads.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            grpc_address = self.wait_for(r"gRPC on (\S+)")
            self.http_address = self.wait_for(r"webhooks on http://([^/]+)/")
            self.admin_address = self.wait_for(r"health and metrics on https?://([^/]+)/")
        except AssertionError:
            # Nobody else could end it.
            self._end()
            raise
        self.channel = grpc.insecure_channel(grpc_address)
        self.conferences = ConferenceServiceStub(self.channel)
        self.events = EventServiceStub(self.channel)
        self.webhooks = Poster(self.http_address, self.signer)
        self.grpc_address = grpc_address

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._reads.wait()
            self._lines.put(line)
        self._lines.put(None)

    def new_lines(self) -> list[str]:
        """Take what has come of the log since it was last looked at."""
        found: list[str] = []
        while True:
            try:
                line = self._lines.get_nowait()
            except Empty:
                self.log += found
                return found
            if line is not None:
                found.append(line)

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Let nobody read the log, and its pipe be full (Linux)."""
        assert self._process.stderr is not None
        pipe = os.fstat(self._process.stderr.fileno()).st_ino
        own = Path(f"/proc/{self.pid}/fd")
        end = next(it for it in own.iterdir() if os.readlink(it) == f"pipe:[{pipe}]")
        self._reads.clear()
        # Opened anew, or the gateway's own end would not block any more either.
        sink = os.open(end, os.O_WRONLY | os.O_NONBLOCK)
        try:
            full_since = monotonic()
            while monotonic() < full_since + _FULL_S:
                try:
                    os.write(sink, b"filling\n" * 100)
                    full_since = monotonic()
                except BlockingIOError:
                    sleep(_FULL_S / 10)
            yield
        finally:
            os.close(sink)
            self._reads.set()

    def wait_for(self, pattern: str, timeout: float = 30) -> str:
        """Wait for a line of the log, and return its first group."""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line {pattern!r} in:\n{''.join(self.log)}")
            self.log.append(line)
            if match := re.search(pattern, line):
                return match[1] if match.groups() else match[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def hold(self) -> None:
        """Have it do nothing, with all its connections open, until `go_on`."""
        hold(self._process)

    def go_on(self) -> None:
        go_on(self._process)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, timeout: float = 30) -> int:
        return self._process.wait(timeout)

    def is_dead(self, within_s: float) -> bool:
        """Whether the process ends within some seconds."""
        try:
            self.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> "GatewayProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        self.channel.close()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reads.set()
        # What is closed under it would fail in it, and so in whichever test runs then.
        self._reader.join(_READ_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
