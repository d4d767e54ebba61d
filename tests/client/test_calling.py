"""The commands `call`, `list` and `describe`, on a gateway that runs."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.client.api import Api, NameNotFoundError, path_of
from tests.conftest import StartGateway
from tests.harness.callers import put, with_token
from tests.harness.certificates import Authority
from tests.harness.gateway import RunningGateway
from tests.harness.process import command, environment
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.webhooks import webhook

MUTE = ("MuteParticipants", "conference_id=c1", "call_control_ids=k1", "call_control_ids=k2")
JOIN = ("JoinConference", "conference_id=c1", "call_control_id=k1")
QUEUE = Answer(200, {"data": {"id": "q1", "name": "support", "max_size": 5}})


def ran(
    gateway: RunningGateway, verb: str, *words: Any, given: str = ""
) -> subprocess.CompletedProcess[str]:
    address = ("--address", str(gateway.app.grpc_address))
    return subprocess.run(
        [*command(verb), *address, *map(str, words)],
        env=environment(),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_is_called_with_its_fields_and_its_receipt_is_readable(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    done = ran(gateway, "call", *MUTE)

    assert provider.take().body["call_control_ids"] == ["k1", "k2"]
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"receipt:\n  result: ok\n  cursor: \S+\n", done.stdout), done.stdout


def test_responses_are_json_if_that_is_asked_for(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE

    done = ran(gateway, "call", "--json", "queueservice/getqueue", "queue_name=support")

    assert json.loads(done.stdout)["queue"] == {"id": "q1", "name": "support", "maxSize": 5}


def test_a_request_may_come_as_json_on_standard_input(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE
    given = '{"queueName": "other"}'

    done = ran(gateway, "call", "GetQueue", "-", "queue_name=support", given=given)

    assert done.returncode == 0, done.stderr
    assert provider.take().path == "/v2/queues/support"


def test_a_response_without_anything_is_told(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(200, {"data": [], "meta": {}})

    assert ran(gateway, "call", "ListQueues").stdout == "done\n"


def test_a_stream_is_printed_response_by_response(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.webhooks.post(webhook("conference.created", {"conference_id": "c\x1b1"}))

    done = ran(gateway, "call", "Subscribe", "position=earliest", "stop_when_caught_up=true")

    assert done.returncode == 0, done.stderr
    assert "type: conference.created" in done.stdout
    assert r"conference_id: c\x1b1" in done.stdout


def test_an_error_of_the_provider_says_what_is_wrong_and_where(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    error = {"code": "10005", "title": "Not found", "detail": "There is no queue \x1b[31m."}
    provider.answer = Answer(404, {"errors": [error]}, {"x-request-id": "r1"})

    failed = ran(gateway, "call", "GetQueue", "queue_name=support")

    first, *rest = failed.stderr.splitlines()
    assert failed.returncode == 1
    assert first == r"telnyx-gateway: NOT_FOUND: GetQueue: There is no queue \x1b[31m."
    assert "  provider's request: r1" in rest
    assert any(line.startswith("  request id: ") for line in rest)


def test_every_invalid_field_is_named(gateway: RunningGateway) -> None:
    failed = ran(gateway, "call", "JoinConference", "conference_id=..")

    assert failed.returncode == 1
    assert "INVALID_ARGUMENT (INVALID_REQUEST)" in failed.stderr
    assert "call_control_id: is required" in failed.stderr


def test_a_command_whose_outcome_is_unknown_can_be_called_again_by_what_is_said(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = lambda request: None

    mute = ran(gateway, "call", "--timeout", "2", *MUTE)
    play = ran(gateway, "call", "--timeout", "2", "PlayAudio", "conference_id=c1")
    join = ran(gateway, "call", "--timeout", "2", *JOIN)
    provider.answer = Answer()
    (advised,) = re.findall(r"what to do: call again with (command_id=\S+) within", join.stderr)
    again = ran(gateway, "call", *JOIN, advised)

    assert [it.returncode for it in (mute, play, join, again)] == [1, 1, 1, 0]
    assert "  what to do: call again: nothing can happen twice" in mute.stderr
    assert "  what to do: it may have run: find out before you call again" in play.stderr
    assert f"  {advised.replace('=', ': ')}\n" in join.stderr
    assert advised.endswith(provider.last.body["command_id"])


def test_a_gateway_that_is_not_there_is_named_and_how_to_start_one() -> None:
    arguments = [*command("call"), "--address", "127.0.0.1:9", "GetQueue", "queue_name=q"]

    failed = subprocess.run(
        arguments, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )

    assert failed.returncode == 1
    assert failed.stderr.startswith("telnyx-gateway: no gateway at 127.0.0.1:9: ")
    assert failed.stderr.endswith("or name another with --address\n")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["GetQueues"], "there is no RPC GetQueues; is it GetQueue"),
        (["GetQueue", "name=q"], "name: GetQueueRequest has no field name; it has queue_name"),
        (["GetQueue", "queue_name"], "'queue_name' is not a field and its value"),
        (["grpc.health.v1.Health/Checks"], "there is no RPC grpc.health.v1.Health/Checks"),
        (["ServerReflectionInfo"], "ServerReflectionInfo may be any of these: "),
        (
            ["grpc.reflection.v1.ServerReflection/ServerReflectionInfo"],
            "ServerReflectionInfo takes a stream of requests, which this cannot send",
        ),
    ],
)
def test_what_is_wrong_with_a_call_is_said_and_nothing_is_sent(
    gateway: RunningGateway, provider: RecordingProvider, words: list[str], fault: str
) -> None:
    provider.reset()

    failed = ran(gateway, "call", *words)

    assert failed.returncode == 2
    assert failed.stderr.startswith(f"telnyx-gateway: {fault}")
    assert "Traceback" not in failed.stderr
    assert provider.requests == []


def test_other_services_of_the_gateway_can_be_called_too(gateway: RunningGateway) -> None:
    checked = ran(gateway, "call", "Check", "service=conferencing.v1.EventService")

    assert checked.stdout == "status: serving\n"


def test_all_rpcs_are_listed(gateway: RunningGateway) -> None:
    listed = ran(gateway, "list").stdout

    assert {it.name for it in Api.of_this_release().methods} <= set(listed.split())
    assert re.search(r"GetConference +query\n", listed)
    assert re.search(r"CreateConference +command\n", listed)
    assert re.search(r"Subscribe +stream\n", listed)


def test_an_rpc_a_message_and_an_enum_are_described(gateway: RunningGateway) -> None:
    rpc = ran(gateway, "describe", "JoinConference").stdout
    message = ran(gateway, "describe", "eventfilter").stdout
    enum = ran(gateway, "describe", "GapPolicy").stdout

    assert "POST /conferences/{conference_id}/actions/join" in rpc
    assert re.search(r"conference_id +string, required\n", rpc)
    assert re.search(r"beep_enabled +always \| never \| on_enter \| on_exit\n", rpc)
    assert re.search(r"types +list of string\n", message)
    assert enum == "conferencing.v1.GapPolicy\n  fail\n  continue\n"


def test_a_gateway_that_does_not_reflect_is_taken_for_one_of_this_release(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = put(tmp_path / "callers.toml", with_token("desk", "reader", "secret"))
    token = tmp_path / "token"
    token.write_text("secret")
    gateway = start_gateway(GATEWAY_CALLERS=str(path), GATEWAY_REFLECTION="callers")

    stranger = ran(gateway, "list").stdout
    known = ran(gateway, "list", "--token-file", token).stdout

    assert "JoinConference" in stranger
    assert "grpc.health.v1.Health" not in stranger
    assert "grpc.health.v1.Health" in known


def test_names_may_be_as_short_as_they_are_unambiguous() -> None:
    api = Api.of_this_release()

    for method in api.methods:
        for name in (method.name, method.name.upper(), path_of(method), f"/{path_of(method)}"):
            assert api.method(name) is method
    with pytest.raises(NameNotFoundError, match=r"there is no RPC Conference; is it "):
        api.method("Conference")


def test_metadata_is_sent_and_a_call_is_found_by_the_id_in_it(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    sent = (
        "--metadata",
        "X-Request-Id=deploy-7",
        "--metadata",
        f"traceparent=00-{'1' * 32}-{'2' * 16}-01",
    )

    done = ran(gateway, "call", *sent, *MUTE)

    assert (done.returncode, done.stderr) == (0, "")
    request = provider.take()
    assert request.headers["x-request-id"] == "deploy-7"
    assert request.headers["traceparent"].startswith(f"00-{'1' * 32}-")


@pytest.mark.parametrize("given", ["x", "=1", "x y=1", "grpc-timeout=1S", "a-bin=1", "x=\x07"])
def test_metadata_that_is_none_is_refused_in_words(gateway: RunningGateway, given: str) -> None:
    failed = ran(gateway, "call", "--metadata", given, *MUTE)

    assert failed.returncode == 2
    assert "is not NAME=VALUE" in failed.stderr


def test_the_examples_of_the_help_are_lines_to_copy_and_name_what_there_is(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    shown = subprocess.run(
        [*command("call"), "--help"], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    examples = re.findall(r"^  (?:echo '(.*)' \| )?telnyx-gateway call (.*)$", shown, re.MULTILINE)
    assert len(examples) == 3

    for given, words in examples:
        # Enough for a stream: it begins, and has nothing to end for.
        failed = ran(gateway, "call", "--timeout", "1", *words.split(), given=given)
        assert failed.returncode != 2, failed.stderr


def test_a_gateway_that_does_not_fit_is_not_said_to_be_missing(
    start_gateway: StartGateway, provider: RecordingProvider, tmp_path: Path
) -> None:
    authority = Authority()
    cert, key = authority.server().write(tmp_path, "server")
    gateway = start_gateway(
        provider.base_url, GATEWAY_GRPC_TLS_CERT=str(cert), GATEWAY_GRPC_TLS_KEY=str(key)
    )
    (tmp_path / "other.pem").write_bytes(Authority().pem)

    for options in ((), ("--tls-ca", tmp_path / "other.pem")):
        failed = ran(gateway, "call", *options, *JOIN)
        assert failed.returncode == 1
        assert "no connection to 127.0.0.1:" in failed.stderr
        assert failed.stderr.endswith(
            "is it served in TLS, and with a certificate that holds? See the --tls options\n"
        )
