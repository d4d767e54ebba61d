"""Accepted commands: who is given which."""

from conferencing.v1 import conference_service_pb2 as c
from gateway.conference.commands import AcceptedCommand, AcceptedCommands


def test_a_command_is_given_to_those_who_watch_its_conference_and_to_nobody_else() -> None:
    commands = AcceptedCommands(lambda: 7.0)
    first: list[AcceptedCommand] = []
    second: list[AcceptedCommand] = []
    other: list[AcceptedCommand] = []
    mute = c.MuteParticipantsRequest(conference_id="c1")

    with (
        commands.observing("c1", first.append),
        commands.observing("c1", second.append),
        commands.observing("c2", other.append),
    ):
        commands.add(mute)
        # It is about no conference that there is.
        commands.add(c.CreateConferenceRequest(name="c1"))

    assert first == second == [AcceptedCommand(mute, 7.0)]
    assert other == []


def test_who_has_gone_is_given_nothing_and_leaves_nothing() -> None:
    commands = AcceptedCommands()
    seen: list[AcceptedCommand] = []
    end = c.EndConferenceRequest(conference_id="c1")

    with commands.observing("c1", seen.append):
        with commands.observing("c1", lambda command: None):
            pass
        commands.add(end)
        assert commands.observed == {"c1"}
    commands.add(end)

    assert [it.request for it in seen] == [end]
    assert commands.observed == frozenset()


def test_an_observer_that_leaves_when_it_is_told_keeps_no_other_from_being_told() -> None:
    commands = AcceptedCommands()
    seen: list[AcceptedCommand] = []

    def leave(command: AcceptedCommand) -> None:
        leaving.__exit__(None, None, None)

    leaving = commands.observing("c1", leave)

    leaving.__enter__()
    with commands.observing("c1", seen.append):
        commands.add(c.EndConferenceRequest(conference_id="c1"))

    assert len(seen) == 1
    assert commands.observed == frozenset()
