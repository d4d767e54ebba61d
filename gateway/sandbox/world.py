"""Everything that exists in the sandbox, and how it is found."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gateway.sandbox import errors
from gateway.sandbox.clock import Clock
from gateway.sandbox.errors import Problem, Refused, refusal
from gateway.sandbox.events import Event
from gateway.sandbox.model import Call, Conference, Participant, Queue

REMEMBERED_CALLS: Final = 10_000
"""Ended calls that can still be named; older ones become unknown, so that memory is flat."""

REMEMBERED_CONFERENCES: Final = 1_000
"""Ended conferences that can still be retrieved."""

DEFAULT_CONNECTION: Final = "1494404757140276705"
DEFAULT_CALLER: Final = "+13125550100"
DEFAULT_CALLEE: Final = "+13125550199"


class World:
    """Calls, conferences and queues, with the clock they live by.

    ``emit`` is called with every event, in the order of what happened.
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
        """Make a call that is answered and parked: in no conference and no queue."""
        call = Call(
            call_control_id=call_control_id or f"v3:{secrets.token_urlsafe(40)}",
            call_leg_id=str(uuid.uuid4()),
            call_session_id=str(uuid.uuid4()),
            connection_id=connection_id or DEFAULT_CONNECTION,
            caller=caller or DEFAULT_CALLER,
            callee=callee or DEFAULT_CALLEE,
            created_at=self.clock.now(),
        )
        self.calls[call.call_control_id] = call
        over = (
            [one for one in self.calls.values() if one.ended_at is not None]
            if (len(self.calls) > REMEMBERED_CALLS)
            else []
        )
        for old in over[: len(self.calls) - REMEMBERED_CALLS]:
            if old.queue_name is None:
                del self.calls[old.call_control_id]
        return call

    def call(self, call_control_id: str, pointer: str | None = None) -> Call:
        """Find a call, ended or not. Raises `Refused` when there is none."""
        call = self.calls.get(call_control_id)
        if call is None:
            raise refusal(errors.NOT_FOUND, f"There is no call '{call_control_id}'.", pointer)
        return call

    def active_call(self, call_control_id: str, pointer: str | None = None) -> Call:
        """Find an active call. Raises `Refused` when there is none or it has ended."""
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
        if len(self.conferences) > REMEMBERED_CONFERENCES:
            over = [one.id for one in self.conferences.values() if one.ended_at is not None]
            for old in over[: len(self.conferences) - REMEMBERED_CONFERENCES]:
                del self.conferences[old]

    def conference(self, conference_id: str) -> Conference:
        """Find a conference, ended or not. Raises `Refused` when there is none."""
        conference = self.conferences.get(conference_id)
        if conference is None:
            raise refusal(errors.NOT_FOUND, f"There is no conference '{conference_id}'.")
        return conference

    def live_conference(self, conference_id: str) -> Conference:
        """Find a conference under way. Raises `Refused` when there is none or it has ended."""
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
        """Find the participant a call is. Raises `Refused`: no such call, ended, not in there."""
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
        """Find the participants these calls are, each once. Raises `Refused` naming all misfits."""
        found: dict[str, Participant] = {}
        problems: list[Problem] = []
        for index, call_control_id in enumerate(call_control_ids):
            try:
                one = self.participant(conference, call_control_id, f"/call_control_ids/{index}")
                found[one.id] = one
            except Refused as refused:
                problems.extend(refused.problems)
        if problems:
            raise Refused(problems)
        return list(found.values())

    def audience(self, conference: Conference, body: Any) -> tuple[Sequence[Participant], bool]:
        """Whom a command with ``call_control_ids`` is for, and whether that is everybody."""
        listed = body.get("call_control_ids")
        if listed:
            return self.participants(conference, listed), False
        return conference.present(), True

    def queue(self, name: str) -> Queue:
        """Find a queue by name. Raises `Refused` when there is none."""
        queue = self.queues.get(name)
        if queue is None:
            raise refusal(errors.NOT_FOUND, f"There is no queue '{name}'.")
        return queue
