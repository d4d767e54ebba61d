"""The console over HTTP: who may look, what is sent, and which commands may be."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.console.viewers import VIEWERS_MAX
from tests.conftest import StartGateway
from tests.console.pages import asked, basic, streamed
from tests.harness.callers import bearer, put, with_token
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.webhooks import webhook

OWN = {"x-console": "1", "content-type": "application/json"}
MUTE = {"rpc": "MuteParticipants", "request": {"conference_id": "c1", "call_control_ids": ["k1"]}}
PATHS = (
    "/console",
    "/console/static/app.js",
    "/console/stream",
    "/console/conferences/c1",
    "/console/events",
    "/console/events/e1",
)


def join(gateway: RunningGateway, call: str) -> None:
    payload = {"conference_id": "c1", "call_control_id": call}
    gateway.webhooks.post(webhook("conference.participant.joined", payload))


def first(messages: Iterator[Any], name: str) -> Any:
    """Return the first that a stream says under a name."""
    return next(it[name] for it in messages if it.get(name))


# --- Who may look


def test_on_this_host_everybody_may_look(gateway: RunningGateway) -> None:
    page = asked(gateway.admin_address)

    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert b"/console/static/app.js" in page.body


@pytest.mark.parametrize("host", ["evil.test", "evil.test:9080", "127.0.0.1.x.test", "[::2]"])
def test_a_page_whose_name_was_made_to_lead_here_learns_nothing(
    gateway: RunningGateway, host: str
) -> None:
    for path in PATHS:
        shown = asked(gateway.admin_address, path, {"host": host})
        assert (shown.status, shown.reason) == (403, "HOST_UNKNOWN")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9080", "[::1]:9080"])
def test_names_of_this_host_are_known(gateway: RunningGateway, host: str) -> None:
    assert asked(gateway.admin_address, headers={"host": host}).status == 200


def test_where_other_hosts_reach_it_callers_are_needed(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_ADMIN_ADDRESS="0.0.0.0:0", GATEWAY_ADMIN_TRUST="network")
    address = f"127.0.0.1:{gateway.admin_address.rpartition(':')[2]}"

    for path in PATHS:
        shown = asked(address, path)
        assert (shown.status, shown.reason) == (403, "CALLERS_NEEDED")
    assert asked(address, "/healthz").status == 200


def test_with_a_callers_file_a_caller_is_asked_for(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    bound = with_token("bound", "reader", "theirs") + 'connections = ["1"]\n'
    path = put(tmp_path / "callers.toml", with_token("desk", "reader", "secret"), bound)
    gateway = start_gateway(GATEWAY_CALLERS=str(path))
    address = gateway.admin_address

    for it in PATHS:
        nobody, stranger = asked(address, it), asked(address, it, basic("stolen"))
        assert (nobody.status, nobody.reason) == (401, "CREDENTIALS_MISSING")
        assert (stranger.status, stranger.reason) == (401, "CALLER_UNKNOWN")
        assert nobody.headers["www-authenticate"].startswith("Basic ")
    for headers in (basic("secret"), dict(bearer("secret"))):
        assert asked(address, headers=headers).status == 200
    shown = asked(address, headers=basic("theirs"))
    assert (shown.status, shown.reason) == (403, "CALLER_BOUND")


def test_the_console_can_be_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_CONSOLE="off")

    for path in PATHS:
        assert asked(gateway.admin_address, path).status == 404


# --- What is sent


def test_the_stream_has_everything_and_then_what_happens(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    join(gateway, "alice")
    messages = streamed(gateway.admin_address, "/console/stream")

    assert first(messages, "hello")["may"] == []
    (conference,) = first(messages, "conferences")
    assert [it["call"] for it in conference["people"]] == ["alice"]
    join(gateway, "bob")
    (conference,) = first(messages, "conferences")
    assert [it["call"] for it in conference["people"]] == ["alice", "bob"]
    health = first(messages, "vitals")["health"]
    assert {it["name"] for it in health["components"]} >= {"event_log", "provider"}


def test_what_changes_all_the_time_is_told_four_times_a_second(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    join(gateway, "first")
    messages = streamed(gateway.admin_address, "/console/stream")
    first(messages, "conferences")
    began = time.monotonic()
    for number in range(300):
        join(gateway, f"k{number}")

    told = events = 0
    while events < 300:
        message = next(messages)
        told += "conferences" in message
        events += len(message.get("events", []))

    # One more as the first comes and one as the last does.
    assert told <= 4 * (time.monotonic() - began) + 2


def test_only_so_many_may_look_at_one_time(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    looking = [streamed(gateway.admin_address, "/console/stream") for _ in range(VIEWERS_MAX)]
    for it in looking:
        next(it)

    shown = asked(gateway.admin_address, "/console/stream")

    assert (shown.status, shown.reason) == (503, "CROWDED")
    for it in looking:
        it.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/console/stream", "/console/conferences/c1"])
def test_a_shutdown_ends_the_streams_and_cuts_none_off(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    gateway = start_gateway(provider.base_url)
    provider.answer = lambda request: Answer(
        200,
        {"data": [], "meta": {"total_pages": 1}}
        if "participants" in request.path
        else {"data": {"id": "c1", "name": "stand-up"}},
    )
    messages = streamed(gateway.admin_address, path)
    next(messages)

    gateway.stop()

    assert all("hello" not in it for it in messages)
    assert "the shutdown drops" not in caplog.text


def test_a_conference_is_shown_as_the_provider_has_it(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url)
    participant = {"call_control_id": "k1", "muted": True, "status": "joined", "id": "p1"}
    provider.answer = lambda request: Answer(
        200,
        {"data": [participant], "meta": {"total_pages": 1}}
        if "participants" in request.path
        else {"data": {"id": "c1", "name": "stand-up"}},
    )

    state = first(streamed(gateway.admin_address, "/console/conferences/c1"), "state")

    assert state["conference"]["name"] == "stand-up"
    assert state["participants"][0]["participant"]["muted"]


def test_a_conference_that_the_provider_does_not_have_is_said_to_be_none(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url)
    provider.answer = Answer(404, {"errors": [{"code": "10005", "detail": "no such conference"}]})

    problem = first(streamed(gateway.admin_address, "/console/conferences/c1"), "problem")

    assert "no such conference" in problem


def test_history_is_searched_by_key_page_by_page(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    for number in range(120):
        join(gateway, f"k{number % 2}")
    address = gateway.admin_address

    page = asked(address, "/console/events?call_control_id=k1").value
    older = asked(address, f"/console/events?call_control_id=k1&before={page['before']}").value

    sequences = [it["sequence"] for it in page["events"] + older["events"]]
    assert sequences == list(range(120, 0, -2))
    assert older["before"] is None
    assert asked(address, "/console/events?before=x").reason == "INVALID_REQUEST"


def test_an_event_is_opened_with_its_raw_body(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    join(gateway, "k1")
    (event,) = asked(gateway.admin_address, "/console/events").value["events"]

    opened = asked(gateway.admin_address, f"/console/events/{event['id']}").value

    assert opened["event"]["conference_participant_joined"]["call_control_id"] == "k1"
    assert json.loads(opened["raw"])["data"]["id"] == event["id"]
    assert asked(gateway.admin_address, "/console/events/none").status == 404


def test_no_file_but_its_own_is_served(gateway: RunningGateway) -> None:
    for name in ("none.js", "..%2fgate.py", "%2e%2e", "..%2f..%2f..%2fconfig.py"):
        assert asked(gateway.admin_address, f"/console/static/{name}").status == 404


# --- Commands


def test_a_command_is_sent_if_a_setting_allows_it_and_shown(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_CONSOLE="commands")
    join(gateway, "k1")
    messages = streamed(gateway.admin_address, "/console/stream")
    assert "MuteParticipants" in first(messages, "hello")["may"]
    first(messages, "conferences")

    done = asked(gateway.admin_address, "/console/commands", OWN, MUTE)

    assert (done.status, done.value["receipt"]["result"]) == (200, "ok")
    assert provider.last.path.endswith("/c1/actions/mute")
    (conference,) = first(messages, "conferences")
    assert conference["people"][0]["muted"]
    assert conference["commands"][0]["rpc"] == "MuteParticipants"


@pytest.mark.parametrize(
    ("console", "headers", "body", "status", "reason"),
    [
        ("view", OWN, MUTE, 403, "COMMAND_NOT_ALLOWED"),
        ("commands", {}, MUTE, 403, "NOT_THE_CONSOLE"),
        ("commands", OWN, {**MUTE, "rpc": "GetConference"}, 403, "COMMAND_NOT_ALLOWED"),
        ("commands", OWN, {**MUTE, "rpc": "Nothing"}, 403, "COMMAND_NOT_ALLOWED"),
        ("commands", OWN, {**MUTE, "request": {"x": 1}}, 400, "INVALID_REQUEST"),
        ("commands", OWN, {**MUTE, "request": {}}, 400, "INVALID_REQUEST"),
        ("commands", OWN, {**MUTE, "request": []}, 400, "INVALID_REQUEST"),
        ("commands", OWN, [], 400, "INVALID_REQUEST"),
    ],
)
def test_nothing_else_is_sent(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    console: str,
    headers: dict[str, str],
    body: Any,
    status: int,
    reason: str,
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_CONSOLE=console)
    provider.reset()

    shown = asked(gateway.admin_address, "/console/commands", headers, body)

    assert (shown.status, shown.reason) == (status, reason)
    assert provider.requests == []


def test_a_role_that_is_too_low_sends_nothing(
    start_gateway: StartGateway, provider: RecordingProvider, tmp_path: Path
) -> None:
    path = put(
        tmp_path / "callers.toml",
        with_token("eye", "reader", "looks"),
        with_token("hand", "operator", "acts"),
    )
    gateway = start_gateway(
        provider.base_url, GATEWAY_CONSOLE="commands", GATEWAY_CALLERS=str(path)
    )

    low = asked(gateway.admin_address, "/console/commands", OWN | basic("looks"), MUTE)
    high = asked(gateway.admin_address, "/console/commands", OWN | basic("acts"), MUTE)

    assert (low.status, low.reason) == (403, "COMMAND_NOT_ALLOWED")
    assert high.status == 200


def test_a_command_that_the_provider_refuses_says_why(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_CONSOLE="commands")
    provider.answer = Answer(422, {"errors": [{"code": "90018", "detail": "Call has ended."}]})

    shown = asked(gateway.admin_address, "/console/commands", OWN, MUTE)

    assert (shown.status, shown.reason) == (502, "INVALID_STATE")
    assert "Call has ended." in shown.value["error"]["message"]
