"""What `tail` can do with events: forms, a file of the cursor, programs, one conference."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    INDEX_STATE_CUT_OFF,
    INDEX_STATE_FILLING,
    Lag,
    SubscribeResponse,
)
from gateway.client.cursor_file import CursorFile
from gateway.client.errors import CallError
from gateway.client.event_forms import form_of
from gateway.client.event_text import EventText
from gateway.client.progress import Progress, duration_text
from gateway.client.tail import Tail
from gateway.client.tail_errors import error_lines
from tests.conftest import StartGateway
from tests.harness.clock import ManualClock
from tests.harness.gateway import RunningGateway
from tests.harness.process import command, environment
from tests.harness.webhooks import webhook


@pytest.fixture
def gateway(start_gateway: StartGateway) -> RunningGateway:
    """A gateway that holds three events of two conferences."""
    gateway = start_gateway()
    for type_, conference_id in (
        ("conference.created", "c1"),
        ("conference.created", "c2"),
        ("conference.ended", "c1"),
    ):
        gateway.webhooks.post(webhook(type_, {"conference_id": conference_id}))
    return gateway


def tailed(gateway: RunningGateway, *options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("tail", "--address", str(gateway.app.grpc_address), *map(str, options)),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- Forms


def test_a_template_prints_the_fields_that_it_names(gateway: RunningGateway) -> None:
    form = "template={sequence}: {type:<20}|{conference_id}|{call_enqueued.queue}"

    done = tailed(gateway, "--earliest", "--stop", "-o", form)

    assert done.stdout.splitlines()[0] == "1: conference.created  |c1|"


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ("yaml", "'yaml' is not text, json or template=..."),
        ("template={no.such}", "{no.such} is no field of an event"),
        ("template={type.x}", "{type.x} is no field of an event"),
        ("template={}", "{} is no field of an event"),
        ("template={type!r}", "{type} can have a width, as in {type:<40}, and no more"),
        ("template={type:{id}}", "{type} can have a width"),
        ("template={type:x}", "{type:x} has no width such as <40"),
        ("template={type", "expected '}' before end of string"),
    ],
)
def test_a_form_that_is_none_is_refused(form: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        form_of(form, EventText())


def test_what_a_template_prints_commands_no_terminal() -> None:
    form = form_of("template={conference_id} {raw_json} {occurred_at}", EventText())

    assert form(Event(conference_id="a\x1b[2Jb", raw_json=b"\x00")) == r"a\x1b[2Jb AA== "


def test_times_are_local_and_have_a_date_unless_it_is_today() -> None:
    zone = datetime.now().astimezone().tzinfo
    event = Event(sequence=7, type="t")
    event.occurred_at.FromDatetime(datetime(2026, 1, 31, 23, 59, 58, 765_000, tzinfo=zone))

    same = EventText(zone=zone, today=lambda: date(2026, 1, 31)).line(event)
    other = EventText(zone=zone, today=lambda: date(2026, 2, 1)).line(event)

    assert same.startswith("#7    23:59:58.765  t ")
    assert other.startswith("#7    2026-01-31 23:59:58.765  t ")


# --- A file of the cursor


def test_the_next_start_continues_after_the_last_event(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    state = tmp_path / "cursor"
    options = ("--state", state, "--earliest", "--stop", "-o", "template={sequence}")

    first, second = tailed(gateway, *options), tailed(gateway, *options)
    gateway.webhooks.post(webhook("conference.created", {"conference_id": "c3"}))
    third = tailed(gateway, *options)

    assert [it.stdout.split() for it in (first, second, third)] == [["1", "2", "3"], [], ["4"]]


def test_a_file_that_holds_no_cursor_is_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    state = tmp_path / "cursor"
    for text in ("two words", "x" * 2_000):
        state.write_text(text)
        assert "holds no cursor" in tailed(gateway, "--state", state, "--stop").stderr
    assert "cannot be saved" in tailed(gateway, "--state", "/proc/none", "--stop").stderr


def test_a_cursor_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = CursorFile(tmp_path / "cursor")
    assert file.load() == ""

    file.save("a")
    file.save("b")

    assert file.load() == "b"
    assert os.listdir(tmp_path) == ["cursor"]


# --- Programs


def test_a_program_gets_each_event(gateway: RunningGateway, tmp_path: Path) -> None:
    got = tmp_path / "got"
    program = f"sh -c 'cat >> {got}'"

    done = tailed(gateway, "--earliest", "--stop", "--exec", program)

    assert (done.returncode, done.stdout) == (0, "")
    # gRPC would complain about a fork.
    assert re.fullmatch(r"-- to resume from here: --after \S+\n", done.stderr), done.stderr
    events = [json.loads(line) for line in got.read_text().splitlines()]
    assert [it["sequence"] for it in events] == ["1", "2", "3"]


def test_an_event_on_which_the_program_failed_comes_again(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    got, state = tmp_path / "got", tmp_path / "cursor"
    failing = f"sh -c 'cat >> {got}; test $(wc -l < {got}) -ne 2'"
    options = ("--earliest", "--stop", "--state", state, "--exec", failing)

    first, second = tailed(gateway, *options), tailed(gateway, *options)

    assert (first.returncode, second.returncode) == (1, 0)
    assert re.search(r"sh failed with 1 on event \S+\n", first.stderr)
    sequences = [json.loads(line)["sequence"] for line in got.read_text().splitlines()]
    assert sequences == ["1", "2", "2", "3"]


def test_a_program_that_is_none_is_named(gateway: RunningGateway) -> None:
    for program, code, fault in (
        ("no-such-program x", 1, "no-such-program cannot be run: No such file"),
        ("", 2, "names no program"),
        ("'", 2, "No closing quotation"),
        ("sh -c 'kill -9 $$'", 1, "sh was ended by SIGKILL on event"),
    ):
        failed = tailed(gateway, "--earliest", "--stop", "--exec", program)
        assert failed.returncode == code
        assert fault in failed.stderr


def test_a_signal_ends_the_program_too(gateway: RunningGateway, tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    program = f"sh -c 'echo $$ > {started}; exec sleep 1000'"
    address = ("--address", str(gateway.app.grpc_address))
    tail = subprocess.Popen(
        command("tail", *address, "--earliest", "--exec", program),
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    pid = int(started.read_text())

    tail.send_signal(signal.SIGINT)

    assert tail.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- One conference


def test_a_conference_is_followed_to_its_end(gateway: RunningGateway) -> None:
    gateway.webhooks.post(webhook("conference.created", {"conference_id": "c1"}))

    done = tailed(gateway, "--follow-conference", "c1", "-o", "template={sequence} {type}")

    assert done.returncode == 0
    assert done.stdout == "1 conference.created\n3 conference.ended\n"


# --- Terminals


def test_a_terminal_gets_colours_and_a_pipe_does_not(gateway: RunningGateway) -> None:
    arguments = command("tail", "--address", str(gateway.app.grpc_address), "--earliest", "--stop")
    master, terminal = pty.openpty()

    with subprocess.Popen(arguments, env=environment(), stdout=terminal, stderr=terminal) as tail:
        os.close(terminal)
        shown = b"".join(_read(master))
        assert tail.wait(20) == 0
    piped = tailed(gateway, "--earliest", "--stop")

    assert b"\x1b[3" in shown
    assert "\x1b" not in piped.stdout


def _read(master: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(master, 4_096)
        except OSError:  # Linux's way to say that the other end is closed
            return
        if not data:
            return
        yield data


# --- Progress


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def response(count: int, *, live: bool = False) -> SubscribeResponse:
    result = SubscribeResponse(live=live)
    for _ in range(count):
        result.events.add().received_at.FromDatetime(NOW - timedelta(minutes=4, seconds=10))
    return result


def test_who_is_behind_sees_how_far_and_how_quickly() -> None:
    clock, lines = ManualClock(), list[str]()
    progress = Progress(lines.append, clock, lambda: NOW)

    progress.received(response(500))
    assert lines == []
    clock.advance(2.0)
    progress.received(response(1_500))
    assert lines == ["catching up: 2,000 events, 1,000/s, 4 min 10 s behind"]
    progress.received(response(1))
    assert len(lines) == 1
    progress.clear()
    progress.clear()
    assert lines[1:] == [""]


def test_who_is_live_sees_no_progress() -> None:
    clock, lines = ManualClock(), list[str]()
    progress = Progress(lines.append, clock, lambda: NOW)

    progress.received(response(5))
    clock.advance(5.0)
    progress.received(response(5))
    progress.received(response(5, live=True))
    clock.advance(5.0)
    progress.received(response(5, live=True))

    assert lines == ["catching up: 10 events, 2/s, 4 min 10 s behind", ""]


def test_who_follows_hears_once_that_the_gateway_is_behind_and_once_that_it_is_not() -> None:
    told = list[str]()

    async def responses() -> AsyncIterator[SubscribeResponse]:
        cut_off, filling = Lag(state=INDEX_STATE_CUT_OFF), Lag(state=INDEX_STATE_FILLING)
        for lag in (None, cut_off, cut_off, filling, filling, None, None):
            filling.behind_events = 1_234
            yield SubscribeResponse(live=lag is None, lag=lag)

    async def nothing(event: Event) -> None:
        raise AssertionError("there is no event")

    progress = Progress(told.append)
    tail = Tail(nothing, told.append, lambda cursor: None, progress, lambda event: False)
    asyncio.run(tail.run(responses()))

    assert told == [
        "the gateway cannot read the log that it shares with others; newer events come when it can,"
        " or now from another gateway",
        "the gateway is still reading 1,234 events of the log",
        "the gateway is up with the log again",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (250, "4 min 10 s"), (90_061, "1 d 1 h"), (86_400, "1 d")],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_an_error_has_the_reason_and_the_id_that_it_is_looked_up_by() -> None:
    refused = CallError(
        grpc.StatusCode.UNAUTHENTICATED, "nobody we know", "CALLER_UNKNOWN", request_id="of-a-tail"
    )

    assert error_lines(refused) == [
        "UNAUTHENTICATED (CALLER_UNKNOWN): nobody we know",
        "  request id: of-a-tail",
    ]
