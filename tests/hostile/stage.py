"""A gateway as its users start it, with a provider, a canary and attackers, each in a process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
)
from tests.harness.process import GatewayProcess, environment
from tests.hostile.attacks.target import Attack, Target
from tests.hostile.bars import DESCRIPTORS_MORE, LEFT_MAX, RECOVERY_S, Seen
from tests.hostile.canary import Addresses, Call, Canary

# How often a gateway is looked at for having recovered, in seconds.
_LOOK_S = 0.1

# How long honest calls are measured before the first attack, in seconds: a dozen of each kind; how
# long after an attack that begins again, and for how long such calls tell what is idle.
IDLE_S = 3.0
_CALM_S = 0.5
_IDLE_COUNTS_S = 60.0

# How long a line of the log may be on its way, in seconds.
_HELD_LINE_S = 1.2

# Events that the log holds before anything begins: what a search without an index looks through.
HELD_EVENTS = 100_000

# Attackers come over a network: they do not take the processor from the gateway.
_NICE = 10


class Stage:
    """Set up at construction; use as a context manager. `env` are settings of the gateway."""

    def __init__(
        self,
        folder: Path,
        *,
        module: str = "gateway",
        attackers: int = 1,
        descriptors: str = "",
        **env: str,
    ) -> None:
        self._module = module
        self._folder = folder
        self._attackers = attackers
        self._descriptors = descriptors
        self._env = env
        self._open = ExitStack()
        self._idle: list[Call] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            provider = self._helper(stack, "tests.hostile.provider")
            neighbour = self._helper(
                stack, "tests.hostile.neighbour", str(self._folder / "neighbour")
            )
            self.log = self._folder / "log" / "events.db"
            subprocess.run(
                command_of("tests.hostile.filled", str(self.log), str(HELD_EVENTS)),
                env=environment(),
                check=True,
            )
            self.provider = provider
            self.gateway = stack.enter_context(
                GatewayProcess(
                    self._folder,
                    module=self._module,
                    descriptors=self._descriptors,
                    **{
                        "TELNYX_BASE_URL": f"http://{provider}/v2",
                        "GATEWAY_EVENT_LOG": f"sqlite:///{self.log}",
                        **self._env,
                    },
                )
            )
            addresses = Addresses(
                self.gateway.http_address,
                self.gateway.admin_address,
                self.gateway.grpc_address,
                neighbour,
                provider,
            )
            self.canary = stack.enter_context(Canary(addresses, self.gateway.signer))
            self._pool = stack.enter_context(
                ProcessPoolExecutor(
                    self._attackers, get_context("spawn"), initializer=_become_attacker
                )
            )
            warm_up(self.gateway)
            self._attacked_at = monotonic()
            sleep(IDLE_S)
            self.idle_bytes = self._first_idle_bytes = self._kib("VmRSS")
            self.idle_descriptors = self._descriptors_open()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    def attack(
        self, attack: Attack, seconds: float, *, log_is_read: bool = True
    ) -> tuple[Seen, str]:
        """Have an attack made, beside honest calls; returns what was seen, and what it did."""
        idle = self.idle_calls()
        self.begin()
        with nullcontext() if log_is_read else self.gateway.unread():
            began = monotonic()
            told = self.submit(attack, seconds).result(seconds + 60)
            ended = monotonic()
        return self.seen(idle, began, ended), told

    def idle_calls(self) -> list[Call]:
        """Return the honest calls of late that no attack was beside, after a while without one."""
        now = monotonic()
        calm_since = self._attacked_at + _CALM_S
        if calm_since + _CALM_S > now:
            sleep(calm_since + _CALM_S - now)
        self._idle += self.canary.calls(max(calm_since, now - _IDLE_COUNTS_S), monotonic())
        self._idle = [it for it in self._idle if it.began >= now - _IDLE_COUNTS_S]
        return self._idle

    def begin(self) -> None:
        """Have the log and the memory looked at from now on."""
        # What an attack leaves is its own; what all of them have left has a bound, too.
        self.idle_bytes = min(self._kib("VmRSS"), self._first_idle_bytes + LEFT_MAX)
        self.gateway.new_lines()
        self._forget_most_bytes()

    def submit(self, attack: Attack, seconds: float) -> Future[str]:
        """Have an attacker begin."""
        return self._pool.submit(attack, self.target(seconds))

    def seen(self, idle: Sequence[Call], began: float, ended: float) -> Seen:
        """Return what was seen of an attack that began and ended then."""
        self._attacked_at = ended
        calls = self.canary.calls(began, ended)
        # A line is held for the rest of its second if another of its kind came before.
        sleep(_HELD_LINE_S)
        lines = self.gateway.new_lines()
        return Seen(idle, calls, monotonic() - began, self.idle_bytes, self._kib("VmHWM"), lines)

    def target(self, seconds: float) -> Target:
        """Return what an attack of so many seconds is given."""
        return Target(
            self.gateway.http_address,
            self.gateway.admin_address,
            self.gateway.grpc_address,
            self.provider,
            monotonic() + seconds,
            str(self.log),
        )

    def recovers(self, within_s: float = RECOVERY_S) -> list[str]:
        """Wait until memory and descriptors are back; returns what is not, in words."""
        ends_at = monotonic() + within_s
        while True:
            left = self._kib("VmRSS") - self.idle_bytes
            more = self._descriptors_open() - self.idle_descriptors
            found: list[str] = []
            if left > LEFT_MAX:
                found.append(f"{left >> 20} MiB more than idle {within_s:.0f} s later")
            if more > DESCRIPTORS_MORE:
                found.append(f"{more} descriptors more than idle {within_s:.0f} s later")
            if not found or monotonic() >= ends_at:
                return found
            sleep(_LOOK_S)

    def _descriptors_open(self) -> int:
        return len(os.listdir(f"/proc/{self.gateway.pid}/fd"))

    def _kib(self, name: str) -> int:
        """Return a number of the gateway's memory, in bytes."""
        for line in Path(f"/proc/{self.gateway.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1_024
        raise AssertionError(f"the gateway has no {name}: it is gone")

    def _forget_most_bytes(self) -> None:
        # See proc(5): 5 has VmHWM begin anew.
        Path(f"/proc/{self.gateway.pid}/clear_refs").write_text("5")

    def _helper(self, stack: ExitStack, *command: str) -> str:
        """Start a program that tells its port; returns its address."""
        process = subprocess.Popen(
            command_of(*command),
            cwd=self._folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(_end, process)
        assert process.stdout is not None
        return f"127.0.0.1:{process.stdout.readline().strip()}"


def command_of(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def warm_up(gateway: GatewayProcess) -> None:
    """Have honest work done, at once and much: what is idle is a gateway that has worked.

    Its caches, and what its libraries keep for the next call, are none of an attack's.
    """
    calls = [gateway.events.GetFeedInfo.future(GetFeedInfoRequest()) for _ in range(1_000)]
    for call in calls:
        call.result(timeout=30)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: gateway.webhooks.event(filling="x" * 1_000), range(2_000)))
    everything = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    for _ in gateway.events.Subscribe(everything):
        pass
    gateway.events.ListEvents(ListEventsRequest(page_size=1_000, include_raw=True), timeout=30)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _become_attacker() -> None:
    with suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(_NICE)
