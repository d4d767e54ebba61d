"""The long form: all attacks together, in random order and beside each other, with honest traffic.

The gateway runs as it is, with its own times. At the end every webhook that was acknowledged has
come once on each stream and stands once in the log, honest calls were as quick as they have to be,
and memory and descriptors are back. A stretch of seconds has some two dozen calls of a kind: where
the slowest is too late, the same attacks are made again, as in the short form. Of attacks at one
time each may take what it may take alone: honest calls wait for one after the other.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import grpc

from conferencing.v1.event_service_pb2 import (
    POSITION_LATEST,
    EventFilter,
    ListEventsRequest,
    SubscribeRequest,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from tests.harness.process import GatewayProcess
from tests.harness.webhooks import Poster, webhook
from tests.hostile.bars import (
    FACTOR_OF_FLOODS,
    GROWN_MAX,
    MIB,
    TRIES,
    Seen,
    alarms,
    lateness,
    slowness,
)
from tests.hostile.canary import Call
from tests.hostile.stage import Stage
from tests.hostile.table import ROWS, Row

# Attacks at one time, at most.
AT_ONCE = 2

# How long attacks are, in seconds, drawn anew for each.
_SHORTEST_S, _LONGEST_S = 2.0, 10.0

# Honest clients that follow the feed, and honest senders, each of so many webhooks a second.
FOLLOWERS = 4
SENDERS = 4
_PER_S = 10

# How long an honest sender waits before it sends again what was not acknowledged, in seconds.
_AGAIN_S = 0.5

# What the honest traffic is about.
_CONFERENCE = "soak"

# How long what was acknowledged may be on its way, in seconds.
_ON_ITS_WAY_S = 30.0

_OWN = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One attack of some made at once: for how many seconds, and how long after it the next."""

    row: Row
    seconds: float
    pause_s: float


class Traffic:
    """Honest senders and followers, at work from construction to `stop`."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.acknowledged: set[str] = set()
        self.sent_again = 0
        self.resumed = 0
        self.followed: list[Counter[str]] = [Counter() for _ in range(FOLLOWERS)]
        self._channels = [
            grpc.insecure_channel(gateway.grpc_address, _OWN) for _ in range(FOLLOWERS)
        ]
        ready = threading.Barrier(FOLLOWERS + 1)
        self._followers = [
            threading.Thread(target=self._follow, args=(channel, seen, ready), daemon=True)
            for channel, seen in zip(self._channels, self.followed, strict=True)
        ]
        self._senders = [
            threading.Thread(target=self._send, args=(number,), daemon=True)
            for number in range(SENDERS)
        ]
        for thread in self._followers:
            thread.start()
        ready.wait(30)
        for thread in self._senders:
            thread.start()

    def stop(self) -> list[str]:
        """End the traffic when everything has come; returns what is lost or comes twice."""
        self._stopping.set()
        for thread in self._senders:
            thread.join(60)
        ends_at = monotonic() + _ON_ITS_WAY_S
        while monotonic() < ends_at and any(
            self.acknowledged - seen.keys() for seen in self.followed
        ):
            sleep(0.1)
        for channel in self._channels:
            channel.close()
        for thread in self._followers:
            thread.join(30)
        found = []
        for number, seen in enumerate([*self.followed, Counter(self._listed())]):
            where = f"stream {number}" if number < FOLLOWERS else "the log"
            lost = len(self.acknowledged - seen.keys())
            twice = sum(count > 1 for count in seen.values())
            if lost or twice:
                found.append(f"{where}: {lost} acknowledged events are lost, {twice} come twice")
        return found

    def _send(self, number: int) -> None:
        poster = Poster(self._gateway.http_address, self._gateway.signer)
        sent = 0
        while not self._stopping.wait(1 / _PER_S):
            id_ = f"soak-{number}-{sent}"
            sent += 1
            body = webhook(payload={"conference_id": _CONFERENCE}, id_=id_)
            while True:
                with suppress(OSError, ValueError):
                    if poster.post(body).status == 200:
                        break
                with self._lock:
                    self.sent_again += 1
                sleep(_AGAIN_S)
            with self._lock:
                self.acknowledged.add(id_)

    def _follow(self, channel: grpc.Channel, seen: Counter[str], ready: threading.Barrier) -> None:
        wanted = EventFilter(conference_ids=[_CONFERENCE])
        request = SubscribeRequest(filter=wanted, position=POSITION_LATEST)
        waiting = True
        while True:
            try:
                for response in EventServiceStub(channel).Subscribe(request):
                    request.after_cursor = response.cursor
                    seen.update(event.id for event in response.events)
                    if waiting:
                        waiting = False
                        ready.wait(30)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.CANCELLED:
                    return
            except ValueError:  # the channel is closed
                return
            with self._lock:
                self.resumed += 1
            sleep(_AGAIN_S)

    def _listed(self) -> Iterator[str]:
        wanted = EventFilter(conference_ids=[_CONFERENCE])
        request = ListEventsRequest(filter=wanted, page_size=1_000)
        while True:
            page = self._gateway.events.ListEvents(request, timeout=60)
            yield from (event.id for event in page.events)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


@dataclass
class Report:
    """What became of a soak, for people."""

    minutes: float
    attacks: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    sent_again: int = 0
    resumed: int = 0
    # By kind of call, the p99 of all of them, times idle; and the stretches in which one was late.
    slowness: dict[str, float] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    most_bytes: int = 0
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [
            f"{sum(self.attacks.values())} attacks of {len(self.attacks)} kinds in"
            f" {self.minutes:g} minutes, up to {AT_ONCE} at a time",
            f"{self.acknowledged} webhooks acknowledged, {self.sent_again} sent again;"
            f" {self.resumed} streams resumed",
            "p99 of all, times idle: "
            + ", ".join(f"{kind} {times:.1f}" for kind, times in self.slowness.items()),
            f"memory at most {self.most_bytes // MIB} MiB above idle",
            *(f"late, and made again: {it}" for it in self.late),
            *self.faults,
            "FAILED" if self.faults else "nothing was taken from anybody",
        ]
        return "\n".join(lines)


def soak(stage: Stage, minutes: float, seed: int, rows: Sequence[Row] = ROWS) -> Report:
    """Attack a gateway for so many minutes, and return what became of it."""
    report, chosen = Report(minutes), random.Random(seed)
    traffic = Traffic(stage.gateway)
    idle = stage.idle_calls()
    calls: list[Call] = []
    began = monotonic()
    ends_at = began + minutes * 60
    rows = [row for row in rows if row.log_is_read]
    while monotonic() < ends_at:
        together = [
            Turn(row, chosen.uniform(_SHORTEST_S, _LONGEST_S), chosen.uniform(0, _SHORTEST_S))
            for row in chosen.sample(rows, AT_ONCE)
        ]
        names = " and ".join(turn.row.id for turn in together)
        for tries_left in reversed(range(TRIES)):
            report.attacks.update(turn.row.id for turn in together)
            seen, faults = _attacked(stage, idle, together)
            exempt = _exempt(together)
            calls += [it for it in seen.calls if it.kind not in exempt]
            report.faults += [f"{names}: {it}" for it in faults]
            report.most_bytes = max(report.most_bytes, seen.most_bytes - seen.idle_bytes)
            late = _late(seen, together)
            if not late:
                break
            report.late += [f"{names}: {it}" for it in late]
            if not tries_left:
                report.faults += [f"{names}: {it}, {TRIES} times" for it in late]
        # What an attack has left need not be gone when others begin, only a minute later.
        if chosen.random() < 0.1:
            report.faults += [f"after {names}: {it}" for it in stage.recovers()]
    whole = Seen(idle, calls, monotonic() - began, 0, 0, [])
    report.slowness = slowness(whole)
    report.faults += [f"all of it: {it}" for it in lateness(whole, flood=True)]
    report.faults += traffic.stop()
    report.faults += stage.recovers()
    report.acknowledged = len(traffic.acknowledged)
    report.sent_again, report.resumed = traffic.sent_again, traffic.resumed
    return report


def _attacked(
    stage: Stage, idle: Sequence[Call], together: Sequence[Turn]
) -> tuple[Seen, list[str]]:
    """Make some attacks beside each other; returns what was seen, and what was wrong with it.

    Of memory, too, each may take what it may take alone.
    """
    found: list[str] = []
    began = monotonic()
    stage.begin()
    attacks: list[tuple[Row, Future[str]]] = []
    for turn in together:
        attacks.append((turn.row, stage.submit(turn.row.attack, turn.seconds)))
        sleep(turn.pause_s)
    for row, attack in attacks:
        try:
            attack.result(_LONGEST_S + 60)
        except AssertionError as error:
            found.append(f"{row.id}: {error}")
    seen = stage.seen(idle, began, monotonic())
    found += [f"{it.kind} failed: {it.failure}" for it in seen.calls if it.failure][:3]
    if seen.most_bytes - seen.idle_bytes > AT_ONCE * GROWN_MAX:
        found.append(f"memory grew by {(seen.most_bytes - seen.idle_bytes) // MIB} MiB")
    return seen, found + alarms(seen.lines)


def _late(seen: Seen, together: Sequence[Turn]) -> list[str]:
    """Return which honest calls came too late: attacks at once are floods, whatever each is."""
    exempt = _exempt(together)
    return [
        f"{kind} {times:.1f} times idle"
        for kind, times in slowness(seen).items()
        if times > len(together) * FACTOR_OF_FLOODS and kind not in exempt
    ]


def _exempt(together: Sequence[Turn]) -> frozenset[str]:
    """Return which honest calls may be late."""
    return frozenset[str]().union(*(turn.row.late for turn in together))


def stage_of_a_soak(folder: Path) -> Stage:
    """Return the stage: the gateway as it is, with backfill, and several attackers."""
    return Stage(folder, attackers=AT_ONCE, GATEWAY_BACKFILL="on", GATEWAY_BACKFILL_INTERVAL="5s")
