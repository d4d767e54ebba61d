"""Credentials that change while the gateway runs, and the streams that they have opened."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import SubscribeRequest
from gateway.callers.caller import Role
from gateway.callers.callers import Callers
from gateway.callers.errors import CallersFileError
from gateway.callers.fetching import fetch_keys
from gateway.callers.file import BYTES_MAX, read_callers
from gateway.config import SettingsError
from gateway.schema.access import Access
from gateway.server.call import Call
from gateway.server.hooks.identity import Identity
from tests.conftest import StartGateway
from tests.harness.callers import bearer, info_of, put, with_token
from tests.harness.calls import HeldWire
from tests.harness.gateway import failure_of
from tests.harness.guarded import Guarded, end_of
from tests.harness.loop import LoopThread

Refusal = tuple[str, str, Mapping[str, str]]

UNKNOWN: Refusal = ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})

MakeGuarded = Callable[..., Guarded]


@pytest.fixture
def make(loop: LoopThread, start_gateway: StartGateway, tmp_path: Path) -> MakeGuarded:
    return lambda *entries: Guarded(loop, start_gateway, tmp_path / "callers.toml", *entries)


def test_tokens_are_rotated_and_revoked_without_a_restart(make: MakeGuarded) -> None:
    guarded = make(with_token("desk", "reader", "old"))
    assert guarded.may_call("old", "new") == [True, False]

    guarded.put(with_token("desk", "reader", "old", "new"))
    assert guarded.may_call("old", "new") == [True, True]

    guarded.put(with_token("desk", "reader", "new"))
    assert guarded.may_call("old", "new") == [False, True]


def test_a_broken_version_is_refused_in_words_and_the_one_before_goes_on(
    make: MakeGuarded, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = make(with_token("desk", "reader", "old"))
    guarded.put(with_token("desk", "king", "new"), with_token("board", "reader", "new"))

    assert guarded.may_call("old", "new") == [True, False]
    (line,) = [it for it in caplog.records if it.levelno >= logging.ERROR]
    text = line.getMessage()
    assert "cannot be used; the version before stays in force" in text
    assert "callers.desk.role must be one of reader, operator, admin" in text
    assert "callers.board.identities[1] is the token of callers.desk.identities[1] again" in text

    # One line of the log output, whose ends of lines would be escaped.
    assert "\n" not in text

    caplog.set_level(logging.INFO)
    caplog.clear()
    guarded.put(with_token("desk", "reader", "old"))
    assert [it for it in caplog.messages if "can be used again" in it]

    guarded.put(with_token("desk", "reader", "new"))
    assert guarded.may_call("old", "new") == [False, True]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("a = " + "[" * 2_000 + "]" * 2_000, "nested too deeply"),
        ("a = " + "1" * 5_000, "is not TOML"),
        ("# " + "x" * BYTES_MAX, f"has more than {BYTES_MAX} bytes"),
    ],
    ids=["nested", "digits", "huge"],
)
def test_a_version_that_is_too_much_to_read_is_refused_in_words_as_any_other(
    make: MakeGuarded, caplog: pytest.LogCaptureFixture, broken: str, says: str
) -> None:
    guarded = make(with_token("desk", "reader", "old"))
    guarded.put(with_token("desk", "reader", "new"), broken)

    assert guarded.may_call("old", "new") == [True, False]
    (line,) = [it for it in caplog.records if it.levelno >= logging.ERROR]
    assert says in line.getMessage()


def test_a_file_that_is_gone_takes_nobody_their_rights(make: MakeGuarded, tmp_path: Path) -> None:
    guarded = make(with_token("desk", "reader", "old"))
    (tmp_path / "callers.toml").rename(tmp_path / "gone")
    guarded.look(3)

    assert guarded.may_call("old") == [True]


def test_a_file_is_looked_at_by_itself(make: MakeGuarded, tmp_path: Path) -> None:
    guarded = make(with_token("desk", "reader", "old"))
    stream = guarded.subscribe("old")
    put(tmp_path / "callers.toml", with_token("desk", "reader", "new"))

    assert end_of(stream).code.name == "UNAUTHENTICATED"
    assert guarded.may_call("new") == [True]


def test_a_stream_ends_when_its_token_is_revoked_and_no_other_does(make: MakeGuarded) -> None:
    both = with_token("board", "reader", "other", "another")
    guarded = make(with_token("desk", "reader", "old"), both)
    revoked, kept = guarded.subscribe("old"), guarded.subscribe("other")
    guarded.put(with_token("desk", "reader", "new"), both)

    assert info_of(end_of(revoked)) == UNKNOWN
    assert kept.is_active()
    kept.cancel()


def test_a_stream_ends_when_its_caller_loses_the_role() -> None:
    """No RPC that streams needs more than a reader's role yet."""
    callers = Callers(read_callers(with_token("desk", "operator", "token").encode()), fetch_keys)
    hook = Identity(callers, {"s/M": Access(Role.OPERATOR, is_stream=True)})

    async def run() -> Any:
        stream = asyncio.create_task(asyncio.sleep(60))
        call: Call[Any] = Call("s/M", HeldWire(metadata=bearer("token")), 0.0, stream)
        hook.on_start(call)
        hook.end_revoked()
        assert not stream.cancelling()
        callers.roster = read_callers(with_token("desk", "reader", "token").encode())
        hook.end_revoked()
        await asyncio.wait([stream])
        assert stream.cancelled()
        return call.ended_by

    error = asyncio.run(run())()
    assert (error.code.name, error.reason) == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT")
    assert error.metadata == {"method": "s/M", "role": "reader", "required_role": "operator"}


def test_a_stream_whose_token_is_another_callers_now_is_to_be_opened_again(
    make: MakeGuarded,
) -> None:
    guarded = make(with_token("desk", "reader", "token"))
    stream = guarded.subscribe("token")
    guarded.put(with_token("board", "reader", "token"))

    ended = end_of(stream)
    assert info_of(ended) == ("UNAVAILABLE", "CALLER_CHANGED", {})
    assert ended.detail(error_details_pb2.RetryInfo) is not None
    guarded.subscribe("token").cancel()


def test_a_stream_goes_on_when_nothing_of_its_own_has_changed(make: MakeGuarded) -> None:
    guarded = make(with_token("desk", "reader", "token"))
    stream = guarded.subscribe("token")
    guarded.put(with_token("desk", "admin", "token", "more"), with_token("new", "reader", "new"))
    guarded.end_revoked()

    assert guarded.may_call("new") == [True]
    assert stream.is_active()
    stream.cancel()


def test_nothing_is_kept_of_calls_that_have_ended(make: MakeGuarded) -> None:
    guarded = make(with_token("desk", "reader", "token"))
    for metadata in ((), bearer("stolen")):
        failure_of(guarded.gateway.events.Subscribe, SubscribeRequest(), metadata=metadata)
    guarded.subscribe("token").cancel()
    guarded.wait_until_idle()

    assert guarded.identity.streams == 0


def test_a_file_with_mistakes_stops_the_start_and_names_them_all(
    tmp_path: Path, make: MakeGuarded
) -> None:
    with pytest.raises(CallersFileError) as raised:
        make(with_token("desk", "king", "old"), with_token("board", "reader"))

    assert str(raised.value) == (
        f"{tmp_path / 'callers.toml'}:\n"
        "  callers.desk.role must be one of reader, operator, admin\n"
        "  callers.board.identities must list at least one identity, such as { dns = ... }"
    )


def test_a_file_that_is_not_there_stops_the_start(start_gateway: StartGateway) -> None:
    with pytest.raises(SettingsError, match="GATEWAY_CALLERS names a file that cannot be read"):
        start_gateway(GATEWAY_CALLERS="/nowhere")
