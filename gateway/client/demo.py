"""The demonstration: a day in a call centre, in a few seconds, through gRPC only."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import grpc

from conferencing.v1 import common_pb2, conference_service_pb2, queue_service_pb2
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from gateway.client.event_text import EventText
from gateway.client.subscription import Lost, Notice, Subscription, subscribe

QUEUE = "support"
CONFERENCE = "daily-stand-up"

# How long the events may take to come back after the last command, in seconds.
PATIENCE_S = 20.0

# The event at which the second subscriber is cut off, to resume later.
_BREAK_AT = 4


@dataclass(frozen=True, slots=True)
class Cast:
    """The control ids of the calls that take part."""

    alice: str
    bob: str
    carol: str

    def names(self) -> dict[str, str]:
        """Return the words for their ids."""
        return {self.alice: "Alice", self.bob: "Bob", self.carol: "Carol"}


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that the commands must cause: its type, and the call or conference it is about."""

    type: str
    about: str


async def _nothing() -> None:
    """Go on."""


class Demo:
    """Plays the story on a channel and checks that every event it caused came back.

    `say` prints a line. What happens `half_way` is for others to say.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        cast: Cast,
        say: Callable[[str], None],
        half_way: Callable[[], Awaitable[None]] = _nothing,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._channel = channel
        self._patience_s = patience_s
        self._half_way = half_way
        self._conferences = ConferenceServiceStub(channel)
        self._queues = QueueServiceStub(channel)
        self._cast = cast
        self._say = say
        self._names = cast.names()
        self._text = EventText(self._names)
        self._seen: list[Event] = []
        self._arrived = asyncio.Condition()
        # Whether everything has come, or nobody waits for it any more.
        self._over = asyncio.Event()

    async def run(self) -> bool:
        """Play; returns whether everything came back."""
        opened = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                follower = tasks.create_task(self._follow(opened))
                await opened.wait()
                interrupted = tasks.create_task(self._follow_interrupted())
                expected = await self._play()
                complete = await self._wait_for(expected)
                self._over.set()
                resumed = await self._in_time(interrupted)
                follower.cancel()
        except BaseExceptionGroup as failures:
            # The first one; the others were cut off by it.
            raise failures.exceptions[0] from None
        return self._summary(expected, complete, resumed)

    async def _play(self) -> list[Expected]:
        cast, wave = self._cast, common_pb2.AUDIO_FORMAT_WAV
        expected: list[Expected] = []
        for call in (cast.alice, cast.bob):
            self._command(f"EnqueueCall {self._names[call]} into {QUEUE}")
            await self._queues.EnqueueCall(
                queue_service_pb2.EnqueueCallRequest(call_control_id=call, queue_name=QUEUE)
            )
            expected.append(Expected("call.enqueued", call))
        self._command(f"CreateConference {CONFERENCE} from Alice's call")
        created = await self._conferences.CreateConference(
            conference_service_pb2.CreateConferenceRequest(
                call_control_id=cast.alice, name=CONFERENCE
            )
        )
        id_ = created.conference.id
        self._names[id_] = CONFERENCE
        expected += [
            Expected("conference.created", id_),
            Expected("call.dequeued", cast.alice),
            Expected("conference.participant.joined", cast.alice),
        ]
        for call, role in (
            (cast.bob, common_pb2.SUPERVISOR_ROLE_NONE),
            (cast.carol, common_pb2.SUPERVISOR_ROLE_MONITOR),
        ):
            listens = role == common_pb2.SUPERVISOR_ROLE_MONITOR
            self._command(
                f"JoinConference {self._names[call]}{', to listen only' if listens else ''}"
            )
            await self._conferences.JoinConference(
                conference_service_pb2.JoinConferenceRequest(
                    conference_id=id_, call_control_id=call, supervisor_role=role
                )
            )
            expected.append(Expected("conference.participant.joined", call))
        expected.append(Expected("call.dequeued", cast.bob))
        self._command("StartRecording as WAV")
        await self._conferences.StartRecording(
            conference_service_pb2.StartRecordingRequest(conference_id=id_, format=wave)
        )
        self._command("MuteParticipants Bob")
        await self._conferences.MuteParticipants(
            conference_service_pb2.MuteParticipantsRequest(
                conference_id=id_, call_control_ids=[cast.bob]
            )
        )
        self._command('SpeakText "Welcome, everybody."')
        await self._conferences.SpeakText(
            conference_service_pb2.SpeakTextRequest(
                conference_id=id_, payload="Welcome, everybody.", voice="female"
            )
        )
        expected += [
            Expected("conference.speak.started", id_),
            Expected("conference.speak.ended", id_),
        ]
        await self._wait_for(expected)
        await self._half_way()
        self._command("ListParticipants")
        listed = await self._conferences.ListParticipants(
            conference_service_pb2.ListParticipantsRequest(conference_id=id_)
        )
        for participant in listed.participants:
            name = self._names[participant.call_control_id]
            self._say(f"       {name}{', muted' if participant.muted else ''}")
        self._command("StopRecording")
        await self._conferences.StopRecording(
            conference_service_pb2.StopRecordingRequest(conference_id=id_)
        )
        expected.append(Expected("conference.recording.saved", id_))
        for call in (cast.carol, cast.bob, cast.alice):
            self._command(f"LeaveConference {self._names[call]}")
            await self._conferences.LeaveConference(
                conference_service_pb2.LeaveConferenceRequest(
                    conference_id=id_, call_control_id=call
                )
            )
            expected.append(Expected("conference.participant.left", call))
        expected.append(Expected("conference.ended", id_))
        return expected

    async def _follow(self, opened: asyncio.Event) -> None:
        following = Subscription(self._channel, SubscribeRequest(), self._noticed)
        async for response in following.responses():
            opened.set()
            for event in response.events:
                self._say(f"  <-   {self._text.line(event)}")
                async with self._arrived:
                    self._seen.append(event)
                    self._arrived.notify_all()

    async def _follow_interrupted(self) -> list[Event]:
        """Follow, be cut off after a few events, and get the rest by the cursor."""
        got: list[Event] = []
        cursor = ""
        one_by_one = SubscribeRequest(max_batch_events=1)
        async with aclosing(subscribe(self._channel, one_by_one)) as responses:
            async for response in responses:
                got.extend(response.events)
                cursor = response.cursor
                if len(got) >= _BREAK_AT:
                    break
        self._say(f"  !!   a second subscriber was disconnected after event #{got[-1].sequence}")
        # Resume only when the first subscriber has seen everything: a long outage.
        await self._over.wait()
        self._say("  !!   it resumes from its cursor")
        resumed = SubscribeRequest(after_cursor=cursor, stop_when_caught_up=True)
        async for response in subscribe(self._channel, resumed):
            got.extend(response.events)
        return got

    async def _in_time(self, interrupted: asyncio.Task[list[Event]]) -> list[Event]:
        """Return what the interrupted subscriber has got, nothing if it waits in vain."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await interrupted
        except TimeoutError:
            return []

    def _noticed(self, notice: Notice) -> None:
        if isinstance(notice, Lost):
            self._say("  !!   the first subscriber has lost its gateway")
        else:
            self._say("  !!   it goes on from its cursor")

    async def _wait_for(self, expected: list[Expected]) -> bool:
        wanted = Counter(expected)
        try:
            async with asyncio.timeout(self._patience_s), self._arrived:
                await self._arrived.wait_for(lambda: wanted <= Counter(self._abouts()))
        except TimeoutError:
            return False
        return True

    def _abouts(self) -> list[Expected]:
        about_calls = ("call.", "conference.participant.")
        return [
            Expected(
                event.type,
                event.call_control_id
                if event.type.startswith(about_calls)
                else event.conference_id,
            )
            for event in self._seen
        ]

    def _summary(self, expected: list[Expected], complete: bool, resumed: list[Event]) -> bool:
        missing = Counter(expected) - Counter(self._abouts())
        first, second = [it.id for it in self._seen], [it.id for it in resumed]
        self._say("")
        self._say(f"{len(expected)} events expected, {len(self._seen)} received by the subscriber")
        for it in missing.elements():
            self._say(f"  MISSING {it.type} about {self._names.get(it.about, it.about)}")
        same = first == second
        self._say(
            f"the second subscriber received the same {len(second)} in the same order"
            if same
            else f"the second subscriber received others: {len(second)}, not {len(first)}"
        )
        return complete and not missing and same

    def _command(self, text: str) -> None:
        self._say(f"->     {text}")
