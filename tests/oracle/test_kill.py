"""kill -9 at every step between a webhook's arrival and its 2xx, one after the other on one log.

After each: what had its 2xx is on disk, what is on disk is numbered without holes, the provider's
repeat makes it exactly one event, and a subscriber that resumes misses nothing and doubles nothing.
"""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from tests.harness.process import GatewayProcess
from tests.oracle.history import After, Latest, Opening
from tests.oracle.killed_gateway import ANSWERED_FROM, NUMBER, STEP, STEPS, STORED_FROM
from tests.oracle.model import Fields, Posted
from tests.oracle.remote import RemoteLog, RemoteReader, posted
from tests.oracle.verdict import violations

# The webhook that does not come through: the others before it must not be harmed.
KILLED_AT = 3
FIELDS = Fields("conference.participant.joined", conference_id="c1")


@dataclass(frozen=True, slots=True)
class Death:
    """What the poster saw of a process that was killed, and what was on disk afterwards."""

    statuses: list[int]
    stored: bool
    # What the repeat was answered, and how often the event is on disk since.
    repeated: int
    copies: int


class Lives:
    """One log, and a process after the other that dies over it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = RemoteLog.in_file(folder / ".gateway" / "events.db")
        self.reader = RemoteReader("reader", self.log)
        self.deaths: dict[str, Death] = {}

    def run(self) -> None:
        unanswered: tuple[str, list[int], Posted] | None = None
        for step in [*STEPS, ""]:
            with self._start(step) as gateway:
                self._begin(gateway)
                if unanswered is not None:
                    self._repeat(gateway, *unanswered)
                if step:
                    unanswered = self._post_until_death(step, gateway)

    def _start(self, step: str) -> GatewayProcess:
        if not step:
            return GatewayProcess(self._folder)
        wrapped = {STEP: step, NUMBER: str(KILLED_AT)}
        return GatewayProcess(self._folder, module="tests.oracle.killed_gateway", **wrapped)

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
            if statuses[-1] == 0 or gateway.is_dead(within_s=0.5 * (step == ANSWERED_FROM)):
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
def lives(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    lives = Lives(tmp_path_factory.mktemp("lives"))
    lives.run()
    lives.reader.join()
    return lives


@pytest.mark.parametrize("step", STEPS)
def test_a_webhook_that_was_cut_off_becomes_one_event(lives: Lives, step: str) -> None:
    death = lives.deaths[step]
    steps = list(STEPS)
    stored = steps.index(step) >= steps.index(STORED_FROM)
    answered = step == ANSWERED_FROM

    # Only the webhook at which it died has no answer; at the very end it may have one.
    assert set(death.statuses[:-1]) == {200}
    assert death.statuses[-1] == 0 or answered
    assert (death.repeated, death.copies) == (200, 1)
    if death.statuses[-1] == 200:
        assert death.stored
    if "submitted" not in step:  # then the writer may or may not have been quicker
        assert death.stored == stored


def test_nothing_acknowledged_is_lost_and_a_subscriber_sees_every_event_once(
    lives: Lives,
) -> None:
    era = lives.log.model.era

    assert violations(lives.log.model, lives.reader.streams) == []
    seen = [it.sequence for stream in lives.reader.streams for it in stream.events()]
    assert seen == sorted(era.stored) == list(range(1, era.newest + 1))
    assert len(lives.reader.streams) == len(STEPS) + 1
    assert len(era.acknowledged) >= (KILLED_AT - 1) * len(STEPS)


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
