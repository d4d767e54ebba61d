"""The command line, as a newcomer uses it."""

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import EventFilter
from gateway.client import tail_errors
from gateway.journal.cursor import Cursor
from gateway.version import gateway_version
from tests.harness.callers import digest, put, with_token
from tests.harness.process import GatewayProcess, command, environment, ran


def test_the_demonstration_tells_its_story_and_succeeds(tmp_path: Path) -> None:
    result = ran(tmp_path, "demo")

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    for line in (
        "->     EnqueueCall Alice into support",
        "->     SpeakText",
        "Alice waits in support, position 1",
        "daily-stand-up recorded as wav",
        "daily-stand-up ended: all left",
        "Bob, muted",
        "a second subscriber was disconnected",
        "15 events expected, 15 received",
        "received the same 15 in the same order",
        "every event arrived",
    ):
        assert line in result.stdout
    # It leaves nothing in the folder it was started in.
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert ran(tmp_path, "version").stdout == gateway_version() + "\n"


def test_a_new_token_is_printed_alone_with_its_identity_beside_it(tmp_path: Path) -> None:
    first, second = ran(tmp_path, "token"), ran(tmp_path, "token")
    token = first.stdout.removesuffix("\n")

    assert token.startswith("tgw_")
    assert token.split() == [token]
    assert first.stderr == f'-- for the callers file: {{ token_sha256 = "{digest(token)}" }}\n'
    assert second.stdout != first.stdout


def test_a_callers_file_with_mistakes_is_refused_with_all_of_them(tmp_path: Path) -> None:
    path = put(tmp_path / "callers.toml", with_token("desk", "king", "x"), with_token("a", "admin"))
    result = ran(tmp_path, "serve", "--sandbox", GATEWAY_CALLERS=str(path))

    assert result.returncode == 1
    assert f"telnyx-gateway: {path}:\n  callers.desk.role must be" in result.stderr
    assert "\n  callers.a.identities must list" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    text = ran(tmp_path, "--help").stdout

    for name in ("serve", "demo", "sandbox", "tail", "version"):
        assert name in text


def test_tail_prints_what_is_held_and_where_to_go_on(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        gateway.webhooks.event("call.enqueued", queue="support", call_control_id="v3:x")
        gateway.webhooks.event("conference.created", conference_id="c1")
        common = ("tail", "--address", gateway.grpc_address, "--stop")

        text = ran(tmp_path, *common, "--earliest")
        as_json = ran(tmp_path, *common, "--earliest", "-o", "json", "--type", "call.*")
        cursor = text.stderr.split()[-1]
        nothing = ran(tmp_path, *common, "--after", cursor)

    assert text.returncode == 0
    first, second = text.stdout.splitlines()
    assert "call.enqueued" in first
    assert "v3:x waits in support" in first
    assert "conference.created" in second
    (line,) = as_json.stdout.splitlines()
    assert json.loads(line)["queueName"] == "support"
    assert nothing.stdout == ""


def test_tail_goes_on_across_a_restart(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        address, http_address = gateway.grpc_address, gateway.http_address
        tail = subprocess.Popen(
            command("tail", "--address", address, "-o", "json", "--earliest"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        gateway.webhooks.event(conference_id="before")
        assert tail.stdout is not None
        assert '"before"' in tail.stdout.readline()
        gateway.kill()
    same = {"GATEWAY_GRPC_ADDRESS": address, "GATEWAY_HTTP_ADDRESS": http_address}
    with GatewayProcess(tmp_path, **same) as gateway:
        gateway.webhooks.event(conference_id="after")
        watchdog = threading.Timer(30, tail.kill)
        watchdog.start()
        line = tail.stdout.readline()
        watchdog.cancel()
        tail.terminate()
        assert tail.wait(10) == 0
        tail.stdout.close()
    assert '"after"' in line


def test_tail_says_what_is_wrong_by_its_own_options(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        common = ("tail", "--address", gateway.grpc_address)
        cursor = ran(tmp_path, *common, "--after", "garbage")
        filters = ran(tmp_path, *common, "--type", "x", "--type", "a*b", "--queue", "")

    assert cursor.returncode == filters.returncode == 1
    assert "INVALID_ARGUMENT: --after: is not a cursor" in cursor.stderr
    assert "--type (value 2): may have a `*` only at its end" in filters.stderr
    assert "--queue (value 1): must not be empty" in filters.stderr


def test_a_tail_that_lost_its_place_says_how_to_go_on_and_that_works(tmp_path: Path) -> None:
    foreign = str(Cursor(b"otherlog", 9))
    with GatewayProcess(tmp_path) as gateway:
        gateway.webhooks.event(conference_id="c1")
        common = ("tail", "--address", gateway.grpc_address, "--stop")
        lost = ran(tmp_path, *common, "--after", foreign)
        earliest = ran(tmp_path, *common, "--earliest")
        over = ran(tmp_path, *common, "--after", foreign, "--on-gap", "continue")

    assert lost.returncode == 1
    assert "OUT_OF_RANGE: the cursor belongs to another log" in lost.stderr
    assert named_options(lost.stderr) == {"--earliest", "--after", "--on-gap"}
    assert "-- to resume from here" not in lost.stderr
    assert earliest.returncode == over.returncode == 0
    assert earliest.stdout == over.stdout != ""
    assert (
        "-- the cursor belongs to another log; continuing with the oldest stored event"
        in over.stderr
    )


def test_a_tail_whose_log_was_replaced_under_it_says_so(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        address = gateway.grpc_address
        tail = subprocess.Popen(
            command("tail", "--address", address, "--earliest"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        gateway.webhooks.event(conference_id="c1")
        assert tail.stdout is not None
        assert "c1" in tail.stdout.readline()
        gateway.kill()
    shutil.rmtree(tmp_path / ".gateway")
    with GatewayProcess(tmp_path, GATEWAY_GRPC_ADDRESS=address):
        _, errors = tail.communicate(timeout=30)

    assert tail.returncode == 1
    assert "OUT_OF_RANGE: the cursor belongs to another log" in errors
    # Its own cursor is no position to resume from.
    assert "-- to resume from here" not in errors


def test_every_option_that_tail_speaks_of_exists(tmp_path: Path) -> None:
    text = ran(tmp_path, "tail", "--help").stdout
    exist = named_options(text)

    assert named_options(tail_errors.WAYS_ON) <= exist
    assert set(tail_errors.OPTIONS.values()) <= exist
    # And every field that can be wrong has one.
    fields = {f"filter.{field.name}" for field in EventFilter.DESCRIPTOR.fields}
    assert fields <= set(tail_errors.OPTIONS)


def named_options(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_the_sandbox_prints_what_a_gateway_needs(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("sandbox", "--port", "0"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    process.terminate()

    assert process.wait(10) == 0
    process.stdout.close()
    for name in ("TELNYX_BASE_URL=http://127.0.0.1:", "TELNYX_PUBLIC_KEY=", "TELNYX_API_KEY="):
        assert any(name in line for line in lines)


@pytest.mark.parametrize(
    ("words", "env", "hinted"),
    [
        ((), {}, True),
        (("--sandbox",), {}, False),
        ((), {"TELNYX_API_KEY": "KEY0123456789"}, False),
    ],
)
def test_the_simulated_provider_is_named_to_those_who_have_no_key_and_no_others(
    tmp_path: Path, words: tuple[str, ...], env: dict[str, str], hinted: bool
) -> None:
    refused = ran(tmp_path, "serve", *words, GATEWAY_GRPC_ADDRESS="0.0.0.0:50051", **env)

    assert refused.returncode == 2
    assert "GATEWAY_GRPC_TRUST=network" in refused.stderr
    assert ("serve --sandbox" in refused.stderr) is hinted


def test_serve_with_a_sandbox_needs_no_key(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, "--sandbox") as gateway:
        gateway.wait_for("v3:sandbox-alice")


COMMANDS = ["version", "--help", "demo", "sandbox --port 0", "tail --help"]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_disk_under_the_output_ends_in_one_line(tmp_path: Path, arguments: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = ended(tmp_path, arguments.split(), full.fileno())

    assert result.returncode == 1
    line = "telnyx-gateway: standard output cannot be written: No space left on device"
    assert result.stderr.splitlines() == [line]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_pipe_that_nobody_reads_ends_without_a_traceback(tmp_path: Path, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = ended(tmp_path, arguments.split(), writer)
    os.close(writer)

    assert result.returncode == 1
    # Of what click prints itself it says nothing, as is usual for pipes.
    line = "telnyx-gateway: standard output cannot be written: Broken pipe"
    assert result.stderr.splitlines() in ([line], [])


@pytest.mark.parametrize("arguments", ["version", "demo", "sandbox --port 0"])
def test_an_output_that_is_closed_ends_in_one_line(tmp_path: Path, arguments: str) -> None:
    result = shell(tmp_path, f"{' '.join(command(*arguments.split()))} >&- <&-")

    assert result.returncode == 1
    line = "telnyx-gateway: standard output cannot be written: Bad file descriptor"
    assert result.stderr.splitlines() == [line]


def test_errors_that_cannot_be_printed_do_not_change_the_exit_code(tmp_path: Path) -> None:
    for redirected in ("2>/dev/full", "2>&-", ">/dev/full 2>/dev/full", ">&- 2>&- <&-"):
        assert shell(tmp_path, f"{' '.join(command('serve'))} {redirected}").returncode == 2
        if redirected.startswith(">"):
            version = f"{' '.join(command('version'))} {redirected}"
            assert shell(tmp_path, version).returncode == 1


@pytest.mark.parametrize(("redirected", "why"), [("> /dev/full", "No space"), (">&-", "Bad file")])
def test_tail_says_where_to_go_on_when_its_output_cannot_be_written(
    tmp_path: Path, redirected: str, why: str
) -> None:
    with GatewayProcess(tmp_path) as gateway:
        gateway.webhooks.event("call.enqueued", queue="support", call_control_id="v3:x")
        arguments = ["tail", "--address", gateway.grpc_address, "--stop"]

        result = shell(tmp_path, f"{' '.join(command(*arguments, '--earliest'))} {redirected}")

        go_on, failed = result.stderr.splitlines()
        # What could not be printed comes after this cursor.
        again = ran(tmp_path, *arguments, "--after", go_on.split()[-1])

    assert result.returncode == 1
    assert failed.startswith(f"telnyx-gateway: standard output cannot be written: {why}")
    assert "v3:x waits in support" in again.stdout


def test_tail_ends_when_the_reader_of_its_output_has_had_enough(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        for number in range(3):
            gateway.webhooks.event(conference_id=f"c{number}")
        tail = command("tail", "--address", gateway.grpc_address, "--earliest", "-o", "json")

        result = shell(tmp_path, f"{' '.join(tail)} | head -n 1; exit ${{PIPESTATUS[0]}}")

    assert result.returncode == 1
    assert "Broken pipe" in result.stderr
    assert json.loads(result.stdout)["conferenceId"] == "c0"
    assert "Traceback" not in result.stderr


def ended(folder: Path, arguments: list[str], output: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
