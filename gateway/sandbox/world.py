"""Everything that exists in the sandbox, and how it is found."""

import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.sandbox import errors
from gateway.sandbox.clock import Clock
from gateway.sandbox.errors import Problem, RefusedError, refusal
from gateway.sandbox.events import Event
from gateway.sandbox.model import Call, Conference, Participant, Queue

# Ended calls that can still be named; older ones become unknown, so that memory is flat.
_REMEMBERED_CALLS_MAX = 10_000

# Ended conferences that can still be retrieved.
_REMEMBERED_CONFERENCES_MAX = 1_000

_DEFAULT_CONNECTION = "1494404757140276705"
_DEFAULT_CALLER = "+13125550100"
_DEFAULT_CALLEE = "+13125550199"


class World:
    """Calls, conferences and queues, with the clock they live by.

    `emit` is called with every event, in the order of what happened.
    """

    def __init__(self, clock: Clock, emit: Callable[[Event], None]) -> None:
        self.clock = clock
        self.emit = emit
        self.calls: dict[str, Call] = {}
        self.conferences: dict[str, Conference] = {}
        self.queues: dict[str, Queue] = {}

    def new_call(
        self,
        call_control_id: str | None = None,
        connection_id: str | None = None,
        caller: str | None = None,
        callee: str | None = None,
    ) -> Call:
        """Make a call that has been picked up and parked: in no conference and no queue."""
        call = Call(
            call_control_id=call_control_id or f"v3:{secrets.token_urlsafe(40)}",
            call_leg_id=str(uuid.uuid4()),
            call_session_id=str(uuid.uuid4()),
            connection_id=connection_id or _DEFAULT_CONNECTION,
            caller=caller or _DEFAULT_CALLER,
            callee=callee or _DEFAULT_CALLEE,
            created_at=self.clock.now(),
        )
        self.calls[call.call_control_id] = call
        over = (
            [it for it in self.calls.values() if it.ended_at is not None]
            if (len(self.calls) > _REMEMBERED_CALLS_MAX)
            else []
        )
        for old in over[: len(self.calls) - _REMEMBERED_CALLS_MAX]:
            if old.queue_name is None:
                del self.calls[old.call_control_id]
        return call

    def why_taken(self, call_control_id: str) -> str | None:
        """Return why a new call cannot have this id, None if it can."""
        existing = self.calls.get(call_control_id)
        if existing is None:
            return None
        if existing.ended_at is None:
            return f"there is a call '{call_control_id}' already; hang it up first"
        if existing.queue_name is not None:
            return f"call '{call_control_id}' is still kept in queue '{existing.queue_name}'"
        return None

    def call(self, call_control_id: str, pointer: str | None = None) -> Call:
        """Return a call, ended or not. Raises RefusedError if there is none."""
        call = self.calls.get(call_control_id)
        if call is None:
            raise refusal(errors.NOT_FOUND, f"There is no call '{call_control_id}'.", pointer)
        return call

    def active_call(self, call_control_id: str, pointer: str | None = None) -> Call:
        """Return an active call. Raises RefusedError if there is none or it has ended."""
        call = self.call(call_control_id, pointer)
        if call.ended_at is not None:
            raise refusal(
                errors.CALL_ENDED,
                f"Call '{call_control_id}' has ended and can no longer be commanded.",
                pointer,
            )
        return call

    def add_conference(self, conference: Conference) -> None:
        """Make it known, and forget ended ones that are too many."""
        self.conferences[conference.id] = conference
        if len(self.conferences) > _REMEMBERED_CONFERENCES_MAX:
            over = [it.id for it in self.conferences.values() if it.ended_at is not None]
            for old in over[: len(self.conferences) - _REMEMBERED_CONFERENCES_MAX]:
                del self.conferences[old]

    def conference(self, conference_id: str) -> Conference:
        """Return a conference, ended or not. Raises RefusedError if there is none."""
        conference = self.conferences.get(conference_id)
        if conference is None:
            raise refusal(errors.NOT_FOUND, f"There is no conference '{conference_id}'.")
        return conference

    def live_conference(self, conference_id: str) -> Conference:
        """Return a conference in progress. Raises RefusedError if there is none or it has ended."""
        conference = self.conference(conference_id)
        if conference.ended_at is not None:
            raise refusal(
                errors.CONFERENCE_ENDED,
                f"Conference '{conference_id}' has ended ({conference.end_reason}).",
            )
        return conference

    def participant(
        self, conference: Conference, call_control_id: str, pointer: str = "/call_control_id"
    ) -> Participant:
        """Return the participant a call is. Raises RefusedError if it is none, or ended."""
        self.active_call(call_control_id, pointer)
        participant = conference.find(call_control_id)
        if participant is None:
            raise refusal(
                errors.NOT_IN_CONFERENCE,
                f"Call '{call_control_id}' is not in conference '{conference.id}'.",
                pointer,
            )
        return participant

    def participants(
        self, conference: Conference, call_control_ids: Iterable[str]
    ) -> Sequence[Participant]:
        """Return the participants these calls are, each once.

        Raises RefusedError, which names each call that is none.
        """
        found: dict[str, Participant] = {}
        problems: list[Problem] = []
        for index, call_control_id in enumerate(call_control_ids):
            try:
                participant = self.participant(
                    conference, call_control_id, f"/call_control_ids/{index}"
                )
                found[participant.id] = participant
            except RefusedError as refused:
                problems.extend(refused.problems)
        if problems:
            raise RefusedError(problems)
        return list(found.values())

    def audience(self, conference: Conference, body: Any) -> tuple[Sequence[Participant], bool]:
        """Return whom a command with `call_control_ids` is for, and whether that is everybody."""
        listed = body.get("call_control_ids")
        if listed:
            return self.participants(conference, listed), False
        return conference.present(), True

    def queue(self, name: str) -> Queue:
        """Return a queue by name. Raises RefusedError if there is none."""
        queue = self.queues.get(name)
        if queue is None:
            raise refusal(errors.NOT_FOUND, f"There is no queue '{name}'.")
        return queue
