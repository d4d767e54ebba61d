"""What all measurements of the feed share: helper processes, gateways, numbers for events."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bench.contestants.contestant import CheckError
from bench.contestants.gateway import (
    COMMAND,
    NOTHING_MORE,
    GatewayProcess,
    launch_gateway,
)
from bench.feed import sendtimes, webhooks
from bench.feed.remote import Remote
from bench.processes import READY_S, Processes
from bench.stolen import Undisturbed
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, GetFeedInfoResponse
from conferencing.v1.event_service_pb2_grpc import EventServiceStub

CONNECTIONS_MAX = 20

# Connections that webhooks are posted over: what a busy provider has open.
POST_CONNECTIONS = 64

# Nothing is expected to take longer, in seconds.
FINISH_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Posted:
    """Webhooks that have been posted and stored. Times are the system's monotonic clock's."""

    first: int
    count: int
    started: float
    seconds: float
    # How late the poster itself was with the slowest hundredth, in seconds.
    late_p99: float = 0.0


class Stage:
    """Starts what a measurement needs and posts events, each with a number of its own."""

    def __init__(self, processes: Processes, command: Sequence[str] = COMMAND) -> None:
        self.processes = processes
        self.turns = Undisturbed()
        self.reader = Remote.start(processes, "bench.feed.reader")
        self.witness = Remote.start(processes, "bench.feed.witness")
        self.poster = Remote.start(processes, "bench.feed.poster")
        self.times = processes.folder / "times"
        sendtimes.create(self.times)
        self.poster.ask("use", times=str(self.times))
        upstream = processes.start_module("bench.upstream", measured=False)
        self._upstream_url = f"http://127.0.0.1:{upstream.read_line()}"
        self._command = command
        self._next = 0

    def gateway(
        self,
        log: Path,
        env: Mapping[str, str] = NOTHING_MORE,
        ports: tuple[int, int] | None = None,
    ) -> GatewayProcess:
        """Start a gateway as its users do, with more settings; see `launch_gateway`."""
        return launch_gateway(
            self.processes, self._upstream_url, webhooks.PUBLIC_KEY, log, self._command, env, ports
        )

    def log(self, name: str) -> Path:
        """Return a place for an event log."""
        return self.processes.folder / f"{name}.db"

    def prepare(self, count: int, conferences: int = webhooks.CONFERENCES) -> int:
        """Sign events that have not been posted yet; returns the first's number."""
        first = self._next
        self._next += count
        self.poster.ask("prepare", first=first, count=count, conferences=conferences)
        return first

    def post(self, gateway: GatewayProcess, count: int, rate: float | None = None) -> Posted:
        """Post new events: at a rate, or as fast as they are taken. Every one must be stored."""
        return self.post_prepared(gateway, self.prepare(count), rate)

    def post_prepared(
        self, gateway: GatewayProcess, first: int, rate: float | None = None
    ) -> Posted:
        """Post what was prepared."""
        port = gateway.http_port
        if rate is None:
            done = self.poster.ask("flood", port=port, connections=POST_CONNECTIONS)
        else:
            done = self.poster.ask("pace", port=port, connections=POST_CONNECTIONS, rate=rate)
        return Posted(
            first, done["posted"], done["started"], done["seconds"], done.get("late_p99", 0.0)
        )

    def open(self, group: str, port: int, streams: int, **options: Any) -> None:
        """Open checked streams of everything; `options` are those of `Reader.open`."""
        arguments = {
            "connections": min(CONNECTIONS_MAX, streams),
            "conferences": webhooks.CONFERENCES,
        }
        self.reader.ask("open", group=group, port=port, streams=streams, **arguments | options)

    def finish(self, group: str, events: int) -> dict[str, float]:
        """Wait until all streams of a group have so many events; says when they had."""
        answer: dict[str, float] = self.reader.ask(
            "finish", group=group, events=events, timeout_s=FINISH_S_MAX
        )
        return answer

    def close(self, group: str, gateway: GatewayProcess) -> None:
        """Close a group, the last one open, and wait until the gateway has noticed."""
        self.reader.ask("close", group=group)
        wait_until_left(gateway)


def feed_info(gateway: GatewayProcess) -> GetFeedInfoResponse:
    """Ask a gateway about its feed."""
    with grpc.insecure_channel(gateway.address, [("grpc.enable_http_proxy", 0)]) as channel:
        return EventServiceStub(channel).GetFeedInfo(GetFeedInfoRequest(), timeout=READY_S)


def wait_until_left(gateway: GatewayProcess) -> None:
    """Return when nobody is subscribed any more. Raises CheckError."""
    give_up = time.monotonic() + READY_S
    while feed_info(gateway).subscribers:
        if time.monotonic() > give_up:
            raise CheckError("the gateway still counts subscribers that have gone")
        time.sleep(0.02)
