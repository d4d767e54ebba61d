"""`docs/sandbox.md` against the code: its tables, its numbers, and its scenario."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

import grpc
from click import Option

from gateway.cli import sandbox as command
from gateway.sandbox import SandboxControl, SandboxServer, SandboxSettings, sounds
from gateway.sandbox.faults import RequestFault, WebhookFault
from gateway.sandbox.operations import load_operations
from gateway.sandbox.scenario import replay
from gateway.sandbox.scenario.library import shipped_names, shipped_script
from gateway.sandbox.scenario.reading import WORDS, read_script
from gateway.sandbox.scenario.script import Script
from gateway.sandbox.scenario.verbs import COMMON, FAULT, verbs
from gateway.simulation import scenario_lines
from gateway.throughgateway import GatewayStage
from tests.harness.loop import LoopThread

PAGE = (Path(__file__).parents[1] / "docs" / "sandbox.md").read_text()
TEXT = " ".join(PAGE.split())


def table(head: str) -> list[str]:
    """The rows below the head of a table."""
    lines = PAGE.splitlines()
    first = lines.index(head) + 2
    return lines[first : lines.index("", first)]


def first_cells(rows: Iterable[str]) -> list[str]:
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def length(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def test_the_scenarios_are_those_of_the_package() -> None:
    scripts = [shipped_script(name) for name in shipped_names()]

    assert table("| scenario | length | what it is |") == [
        f"| `{it.name}` | {length(it.length)} | {it.title} |" for it in scripts
    ]
    assert [it.split()[:2] for it in scenario_lines()] == [
        [it.name, length(it.length)] for it in scripts
    ]
    for it in scripts:
        assert f"**`{it.name}`**" in PAGE
    assert len(shipped_script("support-line").callers) == 9
    assert "nine people" in TEXT
    assert f"{len(shipped_script('all-hands').callers)} people in one conference" in TEXT


def test_the_times_of_the_bad_day_are_those_of_its_faults() -> None:
    steps = shipped_script("bad-day").steps
    times = dict.fromkeys(length(it.at) for it in steps if it.text.startswith("fault"))
    told = [
        it.split(" | ")[0].strip("| ")
        for it in table("| from | what happens | what the gateway makes of it |")
    ]

    # A second fault belongs to the row of the first.
    assert told == [it for it in times if it != "0:15"]


def test_the_words_at_the_top_are_those_of_the_code() -> None:
    assert table("| at the top | meaning |") == [
        f"| `{it}` | {what} |" for it, what in WORDS.items()
    ]


def test_the_words_of_every_step_are_those_of_the_code() -> None:
    assert sorted(first_cells(table("| in every step | meaning |"))) == sorted(COMMON)


def test_the_verbs_are_those_of_the_code(loop: LoopThread) -> None:
    async def rpcs() -> Mapping[str, str]:
        async with grpc.aio.insecure_channel("127.0.0.1:9") as channel:
            stage = GatewayStage(channel, SandboxControl("http://127.0.0.1:9"))
            return stage.rpcs

    names = loop.run(rpcs())
    rows = []
    for it in verbs(load_operations()).values():
        id_ = "" if it.operation is None else it.operation.id
        optional = "see below" if it.name == FAULT else words(it.optional)
        cells = (
            f"`{it.name}`",
            words(it.required),
            optional,
            f"`{names[id_]}`" if id_ else "",
            f"`{id_}`" if id_ else "",
        )
        rows.append(re.sub(r" +", " ", f"| {' | '.join(cells)} |"))

    assert table("| `do` | needs | may have | RPC | operation |") == rows


def test_the_words_of_faults_are_those_of_the_code() -> None:
    here = {"call_control_id": "call", "conference_id": "conference"}
    kinds = {
        kind: {here.get(it.name, it.name) for it in fields(model)} | {"on"}
        for kind, model in (("request", RequestFault), ("webhook", WebhookFault))
    }
    told: dict[str, set[str]] = {"request": set(), "webhook": set()}
    for row in table("| word of a fault | on | meaning |"):
        kind = row.split(" | ")[1]
        for each in kinds if kind == "both" else (kind,):
            told[each].update(first_cells([row]))

    assert told == kinds


def test_the_options_are_those_of_the_command() -> None:
    options = {it.opts[0] for it in command.params if isinstance(it, Option)}

    assert set(first_cells(table("| option | what it does |"))) == options - {
        "--host",
        "--port",
        "--webhook-url",
        "--list-scenarios",
    }


def test_the_endpoints_are_those_of_the_control_api() -> None:
    with SandboxServer(SandboxSettings()) as server:
        there = server.control.endpoints()

    assert sorted(first_cells(table("| endpoint | what it does |"))) == sorted(there)


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"at most {replay.UNDER_WAY_MAX} webhooks under way" in TEXT
    assert f"every playback lasts {sounds.PLAYBACK_S:g} seconds" in TEXT
    assert f"speech {sounds.SPEECH_S_PER_CHARACTER} seconds a character" in TEXT


def played(script: Script) -> list[str]:
    """The lines that are told of a scenario, which must have no failures."""
    lines: list[str] = []
    with SandboxServer(SandboxSettings(manual_clock=True)) as server:
        server.play(script, tell=lines.append)
        assert server.control.what_plays()["name"] == script.name
        server.control.advance(script.length)
        view = server.control.what_plays()
    assert (view["state"], view["failures"]) == ("over", 0)
    return lines


def test_its_scenario_goes_as_it_says() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = read_script(text, "day.toml")

    assert "v3:day-guest-1" in {it.call_control_id for it in script.callers}
    assert "guest-2: join room (refused, as it should be" in played(script)[2]


def test_the_lines_that_it_shows_are_told() -> None:
    (block,) = re.findall(r"```text drawing\n(0:10.*?)```", PAGE, re.DOTALL)
    lines = played(shipped_script("support-line"))

    for shown in block.splitlines():
        begins, _, ends = shown.partition("...")
        assert any(it.startswith(begins) and it.endswith(ends.strip()) for it in lines), shown
