"""The guard on its own: what it remembers, and what it refuses without asking anybody."""

import asyncio
from dataclasses import dataclass, field

import pytest

from conferencing.v1 import conference_service_pb2 as c
from gateway.callers.caller import Caller, Role
from gateway.callers.guard import CALLS_MAX, Guard
from gateway.callers.refusals import MethodNotScopedError, TooManyCallsError
from gateway.callers.remembered import Remembered
from gateway.callers.scope import Scope
from gateway.deadline import Deadline
from gateway.journal.filter import EVERYTHING
from gateway.server.statuses import error_of
from tests.harness.bound import bind, caller
from tests.harness.events import choosing, keys_of

LATER = Deadline.after(None)


@dataclass
class Sources:
    """Owners and ties in one, which know no more than they were told."""

    of: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def connection_of(self, id_: str, *_: object) -> str | None:
        self.asked.append(id_)
        return self.of.get(id_)


def test_a_method_of_which_nothing_says_what_it_is_about_is_refused() -> None:
    guard, request = Guard(Sources(), Sources()), c.ListConferencesRequest()

    for who in (caller("a"), caller(queues={"support"})):
        with pytest.raises(MethodNotScopedError):
            asyncio.run(guard.admit(Scope(is_known=False), who, request, LATER))


def test_a_request_may_name_so_many_calls_and_no_more() -> None:
    ties = Sources()
    guard, scope = Guard(Sources(), ties), Scope(calls=("call_control_ids",))
    calls = [f"v3:{number}" for number in range(CALLS_MAX + 1)]
    ties.of = dict.fromkeys(calls, "a")

    fits = c.MuteParticipantsRequest(call_control_ids=calls[:-1])
    asyncio.run(guard.admit(scope, caller("a"), fits, LATER))
    ties.asked.clear()
    request = c.MuteParticipantsRequest(call_control_ids=calls)
    with pytest.raises(TooManyCallsError):
        asyncio.run(guard.admit(scope, caller("a"), request, LATER))

    assert ties.asked == []


def test_a_call_is_looked_up_once_for_all_whose_it_is() -> None:
    ties = Sources({"v3:1": "a"})
    guard, scope = Guard(Sources(), ties), Scope(calls=("call_control_ids",))
    request = c.MuteParticipantsRequest(call_control_ids=["v3:1"])

    for who in (caller("a"), caller("a", "b"), caller("a")):
        asyncio.run(guard.admit(scope, who, request, LATER))

    assert ties.asked == ["v3:1"]


def test_as_much_is_remembered_as_there_is_room_for() -> None:
    remembered = Remembered(2)
    for id_ in ("one", "two", "one", "three"):
        remembered.put(id_, f"of {id_}")

    assert len(remembered) == 2
    assert [remembered.get(it) for it in ("one", "two", "three")] == ["of one", None, "of three"]


def test_a_bound_caller_sees_the_events_of_its_connections() -> None:
    assert caller("a", "b").visible == choosing(connection_id=["a", "b"])
    assert caller(queues={"support"}).visible == EVERYTHING


def test_a_caller_without_connections_sees_nothing_and_not_everything() -> None:
    for connections in (frozenset[str](), frozenset([""])):
        visible = bind(Caller("desk", Role.READER, connections)).visible

        assert not visible.is_everything
        assert not visible.matches(keys_of(connection_id="a"))
        assert not visible.matches(keys_of())


def test_who_may_not_call_a_method_is_told_which_and_what_to_do() -> None:
    error = error_of(MethodNotScopedError(), "conferencing.v1.ConferenceService/Transfer")

    assert (error.code.name, error.reason) == ("PERMISSION_DENIED", "METHOD_NOT_SCOPED")
    assert "Transfer" in error.message
