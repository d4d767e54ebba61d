"""The command line plays scenarios and recorded feeds in the simulated provider."""

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from conferencing.v1.event_service_pb2 import ListEventsRequest
from gateway.cli import main
from tests.harness.callers import put, with_token
from tests.harness.process import GatewayProcess, command, environment
from tests.harness.readiness import until

DAY = """\
title = "One talks to themselves"
[calls.ana]
[[steps]]
do = "create"
conference = "room"
call = "ana"
[[steps]]
at = 20
do = "mute"
conference = "room"
calls = ["ana"]
"""

FEED = """\
{"id":"e1","type":"conference.created","receivedAt":"2026-01-31T12:00:00Z","conferenceCreated":{"conferenceId":"c1"}}
{"id":"e2","type":"conference.ended","receivedAt":"2026-01-31T12:00:20Z","conferenceEnded":{"conferenceId":"c1"}}
"""


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.toml"
    path.write_text(DAY)
    return path


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "feed.jsonl"
    path.write_text(FEED)
    return path


def stored(gateway: GatewayProcess) -> list[tuple[str, str]]:
    listed = gateway.events.ListEvents(ListEventsRequest()).events
    return [(it.id, it.type) for it in listed]


@pytest.mark.slow
def test_serve_plays_a_file_through_its_gateway(tmp_path: Path, day: Path) -> None:
    words = ("--sandbox", "--scenario", str(day), "--speed", "100")
    with GatewayProcess(tmp_path, *words, GATEWAY_ACCESS_LOG="all") as gateway:
        gateway.wait_for(r"0:00 1/2  ana: create room$")
        gateway.wait_for("day: over$")
        assert any("0:20 2/2  mute room ana" in it for it in gateway.log)
        sent = "MuteParticipants method="
        until(lambda: any(sent in it for it in [*gateway.log, *gateway.new_lines()]))
        until(lambda: len(stored(gateway)) == 4)

        assert [type_ for _, type_ in stored(gateway)] == [
            "conference.created",
            "conference.participant.joined",
            "conference.participant.left",
            "conference.ended",
        ]


@pytest.mark.slow
def test_a_gateway_for_known_callers_has_the_sandbox_play_by_itself(
    tmp_path: Path, day: Path
) -> None:
    callers = put(tmp_path / "callers.toml", with_token("desk", "reader", "tgw_x"))
    words = ("--sandbox", "--scenario", str(day), "--speed", "100")
    with GatewayProcess(tmp_path, *words, GATEWAY_CALLERS=str(callers)) as gateway:
        gateway.wait_for("commands go straight to the simulated provider")
        gateway.wait_for(r"0:20 2/2  mute room ana$")
        gateway.wait_for("day: over$")


@pytest.mark.slow
def test_serve_replays_a_recorded_feed(tmp_path: Path, feed: Path) -> None:
    with GatewayProcess(tmp_path, "--sandbox", "--replay", str(feed), "--speed", "100") as gateway:
        gateway.wait_for(r"0:20 2/2  conference.ended$")
        gateway.wait_for("feed.jsonl: over$")
        until(lambda: len(stored(gateway)) == 2)

        assert stored(gateway) == [("e1", "conference.created"), ("e2", "conference.ended")]


@pytest.mark.slow
def test_a_sandbox_alone_has_a_line_for_each_step_however_fast_they_come(tmp_path: Path) -> None:
    day = tmp_path / "day.toml"
    day.write_text(
        'title = "Many"\n[calls.ana]\ncount = 9\n'
        '[[steps]]\nat = 1\ndo = "call_in"\ncall = "ana-*"\nevery = 1\n'
    )
    process = subprocess.Popen(
        command("sandbox", "--port", "0", "--scenario", str(day), "--speed", "100"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    while not (lines and lines[-1] in ("", "day: over\n")):
        lines.append(process.stderr.readline().rpartition("gateway  ")[2])
    process.terminate()
    out, _ = process.communicate(timeout=20)

    assert lines == [
        *(f"0:0{n} {n}/9  ana-{n}: call_in\n" for n in range(1, 10)),
        "day: over\n",
    ]
    assert len(out.splitlines()) == 4
    assert process.returncode == 0


def told(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, words)
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def test_the_scenarios_of_the_package_are_listed() -> None:
    code, text = told("sandbox", "--list-scenarios")

    assert code == 0
    assert "support-line 2:30 A support line with a hold queue" in text


@pytest.mark.parametrize("start", [("sandbox", "--port", "0"), ("serve", "--sandbox")])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "suport-line"], "suport-line: no file (No such file or directory), and no"),
        (["--scenario", "suport-line"], "of the package: is it support-line?"),
        (["--scenario", "WRONG"], "WRONG:3: step 1: 'do' is 'fly'"),
        (["--replay", "WRONG"], "WRONG:1: is no event as"),
        (["--replay", "none"], "File 'none' does not exist"),
        (["--scenario", "bad-day", "--replay", "WRONG"], "are mutually exclusive"),
        (["--loop"], "--loop requires --scenario or --replay"),
        (["--scenario", "bad-day", "--fast"], "--fast requires --replay"),
        (["--new-ids"], "--new-ids requires --replay"),
        (["--replay", "WRONG", "--fast", "--loop"], "--fast and --loop are mutually exclusive"),
        (["--speed", "0"], "0.0 is not in the range"),
        (["--speed", "nan"], "--speed must be a number, such as 10"),
    ],
)
def test_what_cannot_be_played_is_told_before_anything_is_started(
    tmp_path: Path, start: tuple[str, ...], words: list[str], said: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text('title = "x"\n[[steps]]\ndo = "fly"\n')
    code, text = told(*start, *(it.replace("WRONG", str(wrong)) for it in words))

    assert code == 2
    assert said.replace("WRONG", str(wrong)) in text


@pytest.mark.parametrize("words", [["--scenario", "bad-day"], ["--speed", "2"], ["--new-ids"]])
def test_a_real_provider_plays_nothing(words: list[str]) -> None:
    code, text = told("serve", *words)

    assert code == 2
    assert f"{words[0]} requires --sandbox" in text
