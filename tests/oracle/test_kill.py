"""kill -9 at every step between a webhook's arrival and its 2xx, one after the other on one log.

After each: what had its 2xx is on disk, what is on disk is numbered without holes, the provider's
repeat makes it exactly one event, and a subscriber that resumes misses nothing and doubles nothing.
Over a stream, its server is killed as well.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from tests.harness.loop import LoopThread
from tests.harness.nats import until, with_nats
from tests.harness.process import GatewayProcess
from tests.oracle.history import After, Latest, Opening
from tests.oracle.killed_gateway import (
    ANSWERED_FROM,
    NUMBER,
    STEP,
    STEPS,
    STEPS_OF_STREAM,
    STORED_FROM,
    UNCERTAIN,
)
from tests.oracle.model import Fields, Posted
from tests.oracle.remote import RemoteLog, RemoteReader, posted
from tests.oracle.remote_homes import HOMES, RemoteHome, made_in
from tests.oracle.verdict import violations

# The webhook that does not come through: the others before it must not be harmed.
KILLED_AT = 3
FIELDS = Fields("conference.participant.joined", conference_id="c1")

# How often a server is killed, and how many webhooks are on their way then.
DEATHS, BURST = 3, 60


@dataclass(frozen=True, slots=True)
class Death:
    """What the poster saw of a process that was killed, and what was on disk afterwards."""

    statuses: list[int]
    stored: bool
    # What the repeat was answered, and how often the event is on disk since.
    repeated: int
    copies: int


STEPS_IN = {"sqlite": STEPS, "jetstream-1": STEPS_OF_STREAM}

# In which homes, and at which steps there.
KILLS = (
    *(pytest.param("sqlite", step, id=step) for step in STEPS),
    *(pytest.param("jetstream-1", step, id=step, marks=with_nats) for step in STEPS_OF_STREAM),
)


class Lives:
    """One log, and a process after the other that dies over it."""

    def __init__(self, folder: Path, home: RemoteHome, steps: Sequence[str]) -> None:
        self._folder = folder
        self._home = home
        self._steps = steps
        self.log = home.log
        self.reader = RemoteReader("reader", self.log)
        self.deaths: dict[str, Death] = {}

    def run(self) -> None:
        unanswered: tuple[str, list[int], Posted] | None = None
        for step in [*self._steps, ""]:
            with self._start(step) as gateway:
                self._begin(gateway)
                if unanswered is not None:
                    self._repeat(gateway, *unanswered)
                if step:
                    unanswered = self._post_until_death(step, gateway)
        self.reader.join()

    def _start(self, step: str) -> GatewayProcess:
        if not step:
            return GatewayProcess(self._folder, **self._home.env)
        env = {**self._home.env, STEP: step, NUMBER: str(KILLED_AT)}
        return GatewayProcess(self._folder, module="tests.oracle.killed_gateway", **env)

    def _begin(self, gateway: GatewayProcess) -> None:
        if not self.log.model.eras:
            info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
            self.log.model.begin(bytes.fromhex(info.epoch))
        self.log.audit()
        opening = Opening(place=Latest())
        resumes = None
        if self.reader.streams:
            opening = replace(opening, place=After(self.reader.cursor))
            resumes = self.reader.streams[-1]
        self.reader.open(gateway.channel, opening).resumes = resumes
        assert self.reader.wait_until(lambda stream: bool(stream.responses))

    def _post_until_death(
        self, step: str, gateway: GatewayProcess
    ) -> tuple[str, list[int], Posted]:
        statuses: list[int] = []
        for number in range(10):
            event = posted(f"{step}, {number}", FIELDS)
            statuses += self.log.post(gateway.webhooks, [event])
            # Dying may take a moment longer than the way of an answer that was on it already.
            if statuses[-1] == 0 or gateway.is_dead(within_s=0.5 * (step in ANSWERED_FROM)):
                break
        assert gateway.wait() == -signal.SIGKILL
        self.reader.join()
        return step, statuses, event

    def _repeat(
        self, gateway: GatewayProcess, step: str, statuses: list[int], event: Posted
    ) -> None:
        held = {row.id for row in self.log.model.era.audits[-1].rows}
        (repeated,) = self.log.post(gateway.webhooks, [event])
        self.log.audit()
        newest = self.log.known.newest
        assert self.reader.wait_until(lambda it: bool(it.responses) and it.position == newest)
        copies = [row.id for row in self.log.model.era.audits[-1].rows].count(event.id)
        self.deaths[step] = Death(statuses, event.id in held, repeated, copies)


@pytest.fixture(scope="module")
def lived(
    loop: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Lives]]:
    """What came of the lives of a home's log, which are lived once."""
    made: dict[str, Lives] = {}
    with ExitStack() as stack:

        def of(name: str) -> Lives:
            if name not in made:
                folder = tmp_path_factory.mktemp("lives")
                homes = stack.enter_context(made_in(name, loop, folder / "nats"))
                home = stack.enter_context(homes(folder))
                made[name] = Lives(folder, home, list(STEPS_IN[name]))
                made[name].run()
            return made[name]

        yield of


@pytest.mark.parametrize(("home", "step"), KILLS)
def test_a_webhook_that_was_cut_off_becomes_one_event(
    lived: Callable[[str], Lives], home: str, step: str
) -> None:
    lives = lived(home)
    death = lives.deaths[step]
    steps = list(lives.deaths)
    stored = steps.index(step) >= min(steps.index(it) for it in STORED_FROM if it in steps)
    answered = step in ANSWERED_FROM

    # Only the webhook at which it died has no answer; at the very end it may have one.
    assert set(death.statuses[:-1]) == {200}
    assert death.statuses[-1] == 0 or answered
    assert (death.repeated, death.copies) == (200, 1)
    if death.statuses[-1] == 200:
        assert death.stored
    if step not in UNCERTAIN:  # then the writer, or the network, may or may not have been quicker
        assert death.stored == stored


@pytest.mark.parametrize("home", HOMES)
def test_nothing_acknowledged_is_lost_and_a_subscriber_sees_every_event_once(
    lived: Callable[[str], Lives], home: str
) -> None:
    lives = lived(home)
    era = lives.log.model.era

    assert violations(lives.log.model, lives.reader.streams) == []
    seen = [it.sequence for stream in lives.reader.streams for it in stream.events()]
    assert seen == sorted(era.stored) == list(range(1, era.newest + 1))
    assert len(lives.reader.streams) == len(lives.deaths) + 1
    assert len(era.acknowledged) >= (KILLED_AT - 1) * len(lives.deaths)


def test_what_got_a_2xx_and_is_missing_is_reported(tmp_path: Path) -> None:
    """The checker's side: an acknowledged event that is not on disk is a violation."""
    with GatewayProcess(tmp_path) as gateway:
        log = RemoteLog.in_file(tmp_path / ".gateway" / "events.db")
        log.model.begin(b"any")
        log.post(gateway.webhooks, [posted("stored", FIELDS)])
        log.audit()
        assert violations(log.model, []) == []
        # As if the poster had been told so.
        lost = posted("lost", FIELDS)
        log.model.era.post(lost, 0)
        log.model.era.acknowledge(lost, 0, 2, duplicate=False)
        log.audit()

    found = violations(log.model, [])
    assert [it.guarantee for it in found] == ["durable"]
    assert "lost was acknowledged as 2, on disk is nothing" in found[0].text


def _is_stored(log: RemoteLog, gateway: GatewayProcess, events: Sequence[Posted]) -> bool:
    return log.post(gateway.webhooks, events) == [200]


@with_nats
def test_a_server_that_is_killed_while_it_stores_loses_nothing_acknowledged(
    loop: LoopThread, tmp_path: Path
) -> None:
    with (
        made_in("jetstream-1", loop, tmp_path / "nats") as made,
        made(tmp_path) as home,
        GatewayProcess(tmp_path, **home.env) as gateway,
    ):
        assert home.cluster is not None
        (server,) = home.cluster.servers
        info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
        home.log.model.begin(bytes.fromhex(info.epoch))
        reader = RemoteReader("reader", home.log)
        reader.open(gateway.channel, Opening(heartbeat_s=1))
        assert reader.wait_until(lambda it: bool(it.responses))
        statuses: list[int] = []
        for death in range(DEATHS):
            burst = [posted(f"{death}-{number}", FIELDS, 2_000) for number in range(BURST)]
            with ThreadPoolExecutor(1) as pool:
                posting = pool.submit(home.log.post, gateway.webhooks, burst)
                # What was stored has been audited.
                until(lambda: home.log.acknowledged > 0, "some are stored")
                server.kill()
                statuses += posting.result()
            server.restart()
            last = burst[-1:]
            until(partial(_is_stored, home.log, gateway, last), "it goes on")
            home.log.audit()
        newest = home.log.known.newest
        assert reader.wait_until(lambda it: it.position == newest)
        reader.leave()

    assert violations(home.log.model, reader.streams) == []
    assert {200, 503} <= set(statuses), "it died in the midst of them"
    numbers = [it.sequence for it in reader.streams[0].events()]
    assert numbers == list(range(1, newest + 1))
