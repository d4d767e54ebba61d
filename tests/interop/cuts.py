"""Subscribers beside one gateway that is killed and drained while webhooks are posted to it."""

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, ListEventsRequest
from tests.harness.ports import free_ports
from tests.harness.process import GatewayProcess
from tests.harness.webhooks import webhook
from tests.interop.programs import Built

KILL, DRAIN = "kill -9", "SIGTERM"

# Five kills, two drains.
CUTS = (KILL, DRAIN, KILL, KILL, DRAIN, KILL, KILL)

# After this many of the cuts every subscriber is killed, too, in the middle of a line.
SUBSCRIBERS_KILLED_AFTER = 3

EVENTS = 2_000

# For anything that somebody waits for, in seconds: machines are busy with something else.
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.02

# What a crash leaves when it comes in the middle of a write.
_TORN = b'{"cursor": "half of a'


@dataclass(frozen=True)
class Seen:
    """What one subscriber kept, beside the log."""

    kept: Sequence[str]
    log: Sequence[str]

    @property
    def lost(self) -> int:
        """How many events of the log it does not have."""
        return len({*self.log} - {*self.kept})

    @property
    def doubled(self) -> int:
        """How many it has more than once."""
        return len(self.kept) - len({*self.kept})

    @property
    def is_in_order(self) -> bool:
        """Whether it has them as the log has them, and nothing else."""
        return self.kept == self.log


class Home:
    """A gateway that is ended, and started again on the same log and address."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._folder = folder
        self.gateway = self._start()

    def _start(self) -> GatewayProcess:
        return GatewayProcess(self._folder, GATEWAY_GRPC_ADDRESS=self.address)

    def cut(self, how: str) -> None:
        """End the gateway in this way, and start another."""
        with self.gateway as ended:
            if how == KILL:
                ended.kill()
            else:
                ended.signal(signal.SIGTERM)
                assert ended.wait() == 0
        self.gateway = self._start()

    def close(self) -> None:
        with self.gateway:
            pass

    def subscribers(self) -> int:
        return self.gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20).subscribers

    def log(self) -> list[str]:
        """Return the ids of all stored events, in the order of the log."""
        ids: list[str] = []
        request = ListEventsRequest(page_size=1_000)
        while True:
            page = self.gateway.events.ListEvents(request, timeout=20)
            ids += (it.id for it in page.events)
            if not page.next_page_token:
                return ids
            request.page_token = page.next_page_token


class Posting:
    """Posts events one after the other, up to a limit that is raised, each until it is accepted."""

    def __init__(self, home: Home, total: int) -> None:
        self._home = home
        self._total = total
        self._limit = threading.Semaphore(0)
        self._closed = threading.Event()
        self.posted = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def allow(self, count: int) -> None:
        self._limit.release(count)

    def _run(self) -> None:
        while self.posted < self._total:
            self._limit.acquire()
            body = webhook("conference.created", {"conference_id": f"c{self.posted}"})
            # As the provider does: again until it is accepted. A kill may be between the commit
            # and the response; then the gateway knows the event by its id.
            while not self._closed.is_set() and not self._accepts(body):
                sleep(_LOOK_EVERY_S)
            if self._closed.is_set():
                return
            self.posted += 1

    def _accepts(self, body: bytes) -> bool:
        try:
            return self._home.gateway.webhooks.post(body).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def close(self) -> None:
        self._closed.set()
        self._limit.release()
        self._thread.join()


class Follower:
    """A subscriber with its file, which can be killed and started again."""

    def __init__(self, built: Built, address: str, folder: Path, until: int) -> None:
        name = built.program.folder
        self.state = folder / f"{name}.jsonl"
        self.said = folder / f"{name}.txt"
        self._command = (built, address, str(until))
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        built, address, until = self._command
        return built.follow(address, "--state", str(self.state), "--until", until, said=self.said)

    def kill(self) -> None:
        """Kill it as if in the middle of a write, and start another."""
        self.process.kill()
        self.process.wait()
        with self.state.open("ab") as file:
            file.write(_TORN)
        self.process = self._start()

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def kept(self) -> list[str]:
        return kept(self.state)


def kept(state: Path) -> list[str]:
    """Return the ids that a subscriber's file has."""
    return [id_ for line in state.read_text().splitlines() for id_ in json.loads(line)["ids"]]


def _wait_for(holds: Callable[[], bool], what: str, followers: Mapping[str, Follower]) -> None:
    ends = monotonic() + _PATIENCE_S
    while not holds():
        for name, it in followers.items():
            assert not it.process.poll(), f"{name} ended:\n{it.said.read_text()}"
        assert monotonic() < ends, f"{what}: not within {_PATIENCE_S:.0f} s\n" + "\n".join(
            f"{name}:\n{it.said.read_text()}" for name, it in followers.items()
        )
        sleep(_LOOK_EVERY_S)


def _reached(posting: Posting, count: int) -> Callable[[], bool]:
    return lambda: posting.posted >= count


def run(programs: Mapping[str, Built], folder: Path) -> dict[str, Seen]:
    """Post, cut, and compare. Fails if a subscriber ends with an error, or not at all."""
    home = Home(folder)
    with ExitStack() as stack:
        stack.callback(home.close)
        posting = Posting(home, EVENTS)
        stack.callback(posting.close)
        followers = {}
        for name, built in programs.items():
            followers[name] = Follower(built, home.address, folder, EVENTS)
            stack.callback(followers[name].close)
        share = EVENTS // (len(CUTS) + 1)
        for number, how in enumerate(CUTS, 1):
            _wait_for(lambda: home.subscribers() == len(followers), "all subscribe", followers)
            posting.allow(share)
            half = posting.posted + share // 2
            _wait_for(_reached(posting, half), "events are posted", followers)
            if number == SUBSCRIBERS_KILLED_AFTER:
                for it in followers.values():
                    it.kill()
            home.cut(how)
        posting.allow(EVENTS)
        for name, it in followers.items():
            _wait_for(it.has_ended, f"{name} is done", followers)
            assert it.process.returncode == 0, f"{name}:\n{it.said.read_text()}"
        log = home.log()
        assert len(log) == len({*log}) == EVENTS
        return {name: Seen(it.kept(), log) for name, it in followers.items()}
