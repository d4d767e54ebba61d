"""A gateway that is kept running: a process of its own, at addresses that stay."""

import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.clocked_gateway import AHEAD
from tests.harness.nats import until
from tests.harness.ports import free_ports
from tests.harness.process import GatewayProcess

# How often it is looked whether the process has ended, in seconds.
_LOOK_EVERY_S = 0.05

# How long before one that has ended is started again, in seconds.
_AGAIN_S = 0.2


class Replica:
    """Runs from `start` on, until `close`; begun again when it ends, as by any supervisor."""

    def __init__(self, number: int, folder: Path, module: str, **env: str) -> None:
        self.number = number
        self._module = module
        self.index = folder / f"index-{number}.db"
        self._clock = folder / f"clock-{number}"
        self.grpc_address, self.http_address, admin = (f"127.0.0.1:{it}" for it in free_ports(3))
        self._folder = folder
        self._env = {
            "GATEWAY_GRPC_ADDRESS": self.grpc_address,
            "GATEWAY_HTTP_ADDRESS": self.http_address,
            "GATEWAY_ADMIN_ADDRESS": admin,
            "GATEWAY_INDEX": str(self.index),
            AHEAD: str(self._clock),
            # What is tested here does not wait for callers of commands.
            "GATEWAY_DRAIN_TIMEOUT": "5s",
            **env,
        }
        self._process: GatewayProcess | None = None
        self._down = self._closing = False
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, daemon=True)
        # Whenever it was stopped in order, somebody may want to know before.
        self.when_stopping: Callable[[int], None] = lambda number: None
        # What it said before it ended by itself, although it had been serving.
        self.crashes: list[str] = []
        self.log: list[str] = []

    def start(self) -> None:
        self._thread.start()

    @property
    def serves(self) -> bool:
        return self._serving.is_set()

    def wait(self) -> None:
        """Wait until it serves."""
        until(self._serving.is_set, f"gateway {self.number} serves\n{''.join(self.log[-20:])}")

    def serves_within(self, seconds: float) -> bool:
        return self._serving.wait(seconds)

    def kill(self) -> bool:
        """End it without a chance to do anything, until `revive`; false if it is down already."""
        return self._end(signal.SIGKILL)

    def stop(self) -> bool:
        """End it as an operator would, until `revive`; false if it is down already."""
        if not self._down and self.serves:
            self.when_stopping(self.number)
        return self._end(signal.SIGTERM)

    def revive(self) -> None:
        self._down = False

    def hold(self) -> None:
        """Have it do nothing, with all its connections open, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def step_clock(self, ahead_s: float) -> None:
        """Have its clock be ahead of all others by some seconds."""
        self._clock.write_text(str(ahead_s))

    @contextmanager
    def index_is_full(self) -> Iterator[None]:
        """Let the files of its index grow no more, as on a disk that is full."""
        if (process := self._process) is None:
            yield
            return
        files = (self.index, self.index.with_name(f"{self.index.name}-wal"))
        size = max((it.stat().st_size for it in files if it.exists()), default=0)
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))
        yield
        with suppress(ProcessLookupError):  # another fault may have ended it
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def wait_until_down(self) -> None:
        until(lambda: not self.serves, f"gateway {self.number} has ended")

    def close(self) -> None:
        self._closing = True
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join()

    def _end(self, number: int) -> bool:
        was_down, self._down = self._down, True
        self._signal(signal.SIGCONT)
        self._signal(number)
        return not was_down

    def _signal(self, number: int) -> None:
        if (process := self._process) is not None:
            process.signal(number)

    def _keep_running(self) -> None:
        pause = threading.Event()
        while not self._closing:
            if self._down:
                pause.wait(_LOOK_EVERY_S)
                continue
            try:
                process = GatewayProcess(self._folder, module=self._module, **self._env)
            except AssertionError as error:
                # Without a broker it ends, and says so.
                self.log.append(f"{error}\n")
                pause.wait(_AGAIN_S)
                continue
            with process:
                self._process = process
                self._serving.set()
                if self._down or self._closing:
                    process.signal(signal.SIGKILL)
                while not process.is_dead(_LOOK_EVERY_S):
                    process.new_lines()
                was_told = self._down or self._closing
                process.new_lines()
                self.log += process.log
                if not was_told:
                    self.crashes.append("".join(self.log[-20:]))
                self._process = None
                self._serving.clear()
