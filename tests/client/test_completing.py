"""The command `completion`, and what a shell completes with it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from gateway.cli import main
from gateway.schema.event_types import payload_fields
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tests.harness.needs import with_tool
from tests.harness.process import environment

RPCS = [it.name for service in (*COMMAND_SERVICES, EVENT_SERVICE) for it in service.methods]


def completed(*words: str) -> list[str]:
    """What the last word may become."""
    *before, begun = words
    shell = ShellComplete(main, {}, "telnyx-gateway", "_TELNYX_GATEWAY_COMPLETE")
    return [it.value for it in shell.get_completions(before, begun)]


def test_every_rpc_can_be_called_and_described_by_its_completion() -> None:
    assert sorted(completed("call", "")) == sorted(RPCS)
    assert set(completed("describe", "")) > {*RPCS, "Event", "GapPolicy"}


def test_a_beginning_chooses_whatever_its_case() -> None:
    assert completed("call", "mute") == ["MuteParticipants"]
    assert completed("call", "Mute") == ["MuteParticipants"]
    assert completed("call", "Nothing") == []
    assert completed("describe", "eventf") == ["EventFilter"]


def test_the_types_of_events_and_their_prefixes_are_those_of_the_protos() -> None:
    offered = completed("tail", "--type", "")

    assert set(payload_fields()) < set(offered)
    prefixes = [it.removesuffix("*") for it in offered if it.endswith(".*")]
    assert all(any(it.startswith(prefix) for it in payload_fields()) for prefix in prefixes)
    assert completed("tail", "--type", "call.") == ["call.dequeued", "call.enqueued", "call.*"]
    # Nobody knows the others beforehand.
    assert completed("tail", "--conference", "") == []


def test_commands_and_options_are_completed() -> None:
    assert completed("desc") == ["describe"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]
    assert "--follow-conference" in completed("tail", "--fo")


@pytest.mark.slow
@with_tool("bash")
def test_bash_completes_with_the_script_that_the_command_prints(tmp_path: Path) -> None:
    asks = """
    eval "$(telnyx-gateway completion bash)"
    complete -p telnyx-gateway
    COMP_WORDS=(telnyx-gateway call Mu) COMP_CWORD=2
    _telnyx_gateway_completion telnyx-gateway
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "--norc", "-ec", asks],
        cwd=tmp_path,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr == ""
    declared, found = done.stdout.splitlines()
    assert declared.endswith("-F _telnyx_gateway_completion telnyx-gateway")
    assert found == "MuteParticipants"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_for_other_shells_ask_in_the_way_that_is_answered(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["completion", shell], prog_name="telnyx-gateway")

    assert ended.value.code == 0
    assert f"_TELNYX_GATEWAY_COMPLETE={shell}_complete" in capsys.readouterr().out
