"""A watch: the state first, then what events, commands and the provider change of it.

The events and the provider are made small, and the time is the test's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import REGION_UNSPECIFIED, SUPERVISOR_ROLE_MONITOR
from conferencing.v1.conference_pb2 import CONFERENCE_STATUS_COMPLETED, PARTICIPANT_STATUS_JOINED
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import RECORDING_STATE_ACTIVE
from gateway.conference.conferences import Conferences
from gateway.conference.reader import ConferenceRef
from gateway.conference.refresh import REFRESH_INTERVAL_S
from gateway.conference.watch import Update, Watch
from gateway.journal.filter import EVERYTHING
from tests.conference.fakes import (
    EventsBrokenError,
    LoopTime,
    PlainProvider,
    PostedEvents,
    RefusedError,
)
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

ID = "c1"
REF = ConferenceRef(ID, REGION_UNSPECIFIED)


class Stage:
    def __init__(self) -> None:
        self.clock = LoopTime()
        self.events = PostedEvents()
        self.provider = PlainProvider()
        self.provider.seat("alice")
        self.conferences = Conferences(self.events, self.provider, 10, 100, self.clock)
        self.began = virtual_now()

    def event(self, type_: str, call: str = "", *, ago_s: float = 0.0) -> Event:
        """Return an event of now, which the gateway received some seconds ago."""
        received = Timestamp()
        received.FromMicroseconds(round((self.clock.time() - ago_s) * 1e6))
        return Event(
            id=f"{type_} {call}",
            type=f"conference.{type_}",
            conference_id=ID,
            call_control_id=call,
            occurred_at=received,
            received_at=received,
        )

    @property
    def asked_at(self) -> list[float]:
        """When the provider was asked, in seconds since the beginning."""
        return [round(at - self.began, 3) for at, _ in self.provider.asked]


Story = Callable[[Stage], Awaitable[None]]
WatchStory = Callable[[Stage, Watch], Awaitable[None]]


def staged(story: Story) -> Stage:
    """Run a story; nothing of a watch may be left when it has ended."""

    async def run() -> Stage:
        stage = Stage()
        await story(stage)
        await stage.conferences.close()
        assert not any(stage.events.open.values())
        assert stage.conferences._commands.observed == frozenset()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return stage

    return run_in_virtual_time(run())


def watched(story: WatchStory) -> Stage:
    async def run(stage: Stage) -> None:
        async with stage.conferences.watch(REF, EVERYTHING, "connection") as watch:
            await story(stage, watch)

    return staged(run)


def told(updates: Sequence[Update]) -> list[tuple[int, str]]:
    return [(it.position, it.event_id) for it in updates]


def test_the_state_comes_first_and_each_event_is_an_update_at_its_position() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        (alice,) = watch.snapshot().participants
        assert alice.participant.status == PARTICIPANT_STATUS_JOINED
        assert watch.position == 0
        joined, floor = stage.event("participant.joined", "bob"), stage.event("floor.changed", "x")
        stage.events.post(joined, stage.event("mood.changed"), floor)

        updates = await watch.next(5)

        # What changes nothing is not told, but the position is behind it.
        assert told(updates) == [(1, joined.id), (3, floor.id)]
        bob = updates[0].change.participant
        assert bob is not None
        assert bob.participant.call_control_id == "bob"
        assert watch.position == 3

    watched(story)


def test_silence_lasts_as_long_as_one_is_willing_to_wait() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        for timeout in (1.0, 0.25):
            began = virtual_now()
            assert await watch.next(timeout) == []
            assert virtual_now() - began == pytest.approx(timeout, abs=1e-3)
        stage.events.post(stage.event("mood.changed"))
        began = virtual_now()
        assert await watch.next(3) == []
        assert virtual_now() - began == pytest.approx(3, abs=1e-3)

    watched(story)


def test_what_happens_before_the_state_has_come_is_told_after_it() -> None:
    async def story(stage: Stage) -> None:
        async def act() -> None:
            await asyncio.sleep(stage.provider.takes_s)
            stage.conferences.command_accepted(c.StartRecordingRequest(conference_id=ID))
            stage.events.post(stage.event("speak.started"))

        acting = asyncio.create_task(act())
        async with stage.conferences.watch(REF, EVERYTHING, "connection") as watch:
            assert not watch.snapshot().speaking
            recording = (await watch.next(1))[0].change.conference
            speaking = (await watch.next(1))[0].change.conference
            await acting

        assert recording is not None
        assert recording.recording == RECORDING_STATE_ACTIVE
        assert speaking is not None
        assert speaking.speaking

    staged(story)


def test_what_a_command_did_is_asked_for_at_once() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        await watch.next(10)
        stage.provider.seat("alice", muted=True)
        stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))

        updates = await watch.next(5)

        (alice,) = [it.change.participant for it in updates]
        assert alice is not None
        assert alice.participant.muted
        assert told(updates) == [(0, "")]

    # It takes a tenth of a second to read the conference, and one to read who is in it.
    assert watched(story).asked_at == [0, 10.2]


def test_a_role_is_known_by_the_command_alone() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        request = c.UpdateSupervisorRoleRequest(
            conference_id=ID, call_control_id="alice", supervisor_role=SUPERVISOR_ROLE_MONITOR
        )
        stage.conferences.command_accepted(request)
        (update,) = await watch.next(1)
        assert update.change.participant is not None
        assert update.change.participant.supervisor_role == SUPERVISOR_ROLE_MONITOR

    watched(story)


def test_a_command_that_comes_while_one_waits_ends_the_wait() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        waiting = asyncio.create_task(watch.next(20))
        await asyncio.sleep(1)
        stage.conferences.command_accepted(c.StartRecordingRequest(conference_id=ID))
        (update,) = await waiting
        assert virtual_now() - stage.began == pytest.approx(1.2, abs=1e-3)
        assert update.change.conference is not None

    watched(story)


def test_the_provider_is_asked_every_half_minute() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        for _ in range(10):
            await watch.next(REFRESH_INTERVAL_S / 3)

    asked = watched(story).asked_at

    # From one response to the next request.
    assert asked == pytest.approx([0, 30.2, 60.4, 90.6], abs=0.01)


def test_a_provider_that_hangs_holds_up_nothing() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.provider.takes_s = 1_000
        stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
        assert await watch.next(1) == []
        stage.events.post(stage.event("playback.started"))
        assert len(await watch.next(1)) == 1
        # What happens meanwhile is asked for after it.
        stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
        assert await watch.next(100) == []

    assert watched(story).asked_at == [0, 0.2]


def test_commands_without_a_pause_do_not_keep_the_response_away() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.provider.seat("alice", muted=True)

        async def act() -> None:
            while True:
                stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
                await asyncio.sleep(0.15)

        acting = asyncio.create_task(act())
        (update,) = await watch.next(20)
        assert update.change.participant is not None
        # One question takes a fifth of a second.
        assert virtual_now() - stage.began == pytest.approx(0.4, abs=1e-3)
        acting.cancel()

    watched(story)


def test_a_refusal_ends_no_watch_and_the_provider_is_asked_again() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.provider.refuses = True
        stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
        assert await watch.next(25) == []
        stage.provider.refuses = False
        stage.provider.seat("alice", on_hold=True)
        (update,) = await watch.next(10)
        assert update.change.participant is not None
        assert update.change.participant.participant.on_hold

    assert watched(story).asked_at == pytest.approx([0, 0.2, 30.3], abs=0.01)


def test_a_refusal_of_the_first_question_is_passed_on() -> None:
    async def story(stage: Stage) -> None:
        stage.provider.refuses = True
        with pytest.raises(RefusedError):
            async with stage.conferences.watch(REF, EVERYTHING, "connection"):
                raise AssertionError

    staged(story)


def test_whoever_is_known_by_events_only_is_asked_about_once() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.events.post(stage.event("participant.joined", "bob"))
        (joined,) = await watch.next(1)
        assert joined.event_id
        # The provider does not know him either.
        assert await watch.next(5) == []
        stage.events.post(stage.event("floor.changed", "bob"))
        await watch.next(1)
        assert await watch.next(5) == []

    assert watched(story).asked_at == [0, 0.2]


@pytest.mark.parametrize(
    ("on_its_way_s", "question_s", "asked_again"),
    [
        (0, 2, True),
        (3, 2, False),
        # The machine's clock was set: no event is on its way for so long.
        (3_600, 2, False),
        (3_600, 7, True),
        (-3_600, 2, True),
    ],
)
def test_what_was_asked_after_an_event_tells_of_it(
    on_its_way_s: float, question_s: float, asked_again: bool
) -> None:
    """How long ago the gateway received the event, and how long ago another watch asked.

    What is asked is asked for both.
    """

    async def story(stage: Stage, watch: Watch) -> None:
        await watch.next(10)
        async with stage.conferences.watch(REF, EVERYTHING, "another") as another:
            await asyncio.sleep(question_s - 0.2)
            stage.events.post(stage.event("participant.joined", "bob", ago_s=on_its_way_s))
            for _ in range(2):
                await asyncio.gather(watch.next(1), another.next(1))

    again = [10.2 + question_s] if asked_again else []
    assert watched(story).asked_at == [0, 10.2, *again]


def test_the_end_of_the_conference_is_the_end() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.events.post(stage.event("ended"))
        left, ended = await watch.next(1)
        assert left.change.participant is not None
        assert ended.change.conference is not None
        assert watch.has_ended
        assert not watch.draining

    watched(story)


def test_a_conference_that_is_over_at_the_provider_is_over() -> None:
    async def story(stage: Stage) -> None:
        stage.provider.status = CONFERENCE_STATUS_COMPLETED
        async with stage.conferences.watch(REF, EVERYTHING, "connection") as watch:
            assert watch.has_ended

    staged(story)


def test_the_end_of_the_events_is_told_with_what_came_before_it() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.events.post(stage.event("speak.started"))
        stage.events.end()

        updates = await watch.next(60)

        assert told(updates) == [(1, "speak.started ")]
        assert watch.draining

    watched(story)


def test_the_end_of_the_events_ends_a_wait() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        waiting = asyncio.create_task(watch.next(20))
        await asyncio.sleep(1)
        stage.events.end()
        assert await waiting == []
        assert virtual_now() - stage.began == pytest.approx(1.2, abs=1e-3)
        assert watch.draining

    watched(story)


def test_what_goes_wrong_with_the_events_is_passed_on() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
        stage.events.end(broken=True)
        with pytest.raises(EventsBrokenError):
            await watch.next(60)

    watched(story)


def test_who_leaves_takes_the_question_along() -> None:
    async def story(stage: Stage) -> None:
        async def watch() -> None:
            async with stage.conferences.watch(REF, EVERYTHING, "connection") as watch:
                stage.conferences.command_accepted(c.MuteParticipantsRequest(conference_id=ID))
                await watch.next(60)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.25)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert watching.cancelled()

    staged(story)


def test_who_takes_nothing_has_the_last_thousand_commands_kept_for_it() -> None:
    async def story(stage: Stage, watch: Watch) -> None:
        for _ in range(1_000):
            stage.conferences.command_accepted(c.StartRecordingRequest(conference_id=ID))
            stage.conferences.command_accepted(c.PauseRecordingRequest(conference_id=ID))

        assert len(await watch.next(5)) == 1_000

    watched(story)
