"""Colours: on a terminal, unless a user says otherwise for all programs."""

import ast
import os
import pty
import subprocess
from pathlib import Path

import pytest

from gateway.output import is_coloured
from tests.harness.process import ROOT, command, environment, ran

GATEWAY = ROOT / "gateway"

# What a terminal is told by: a colour begins with it.
ESCAPE = "\x1b"


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, None),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_what_users_set_for_all_programs_counts(env: dict[str, str], coloured: bool | None) -> None:
    assert is_coloured(env) is coloured


def to_a_pipe(folder: Path, **env: str) -> str:
    return ran(folder, "doctor", **env).stdout


def to_a_terminal(folder: Path, **env: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("doctor"), cwd=folder, env=environment(**env), stdout=theirs, stderr=theirs
    ) as running:
        os.close(theirs)
        said = b""
        try:
            while more := os.read(ours, 4_096):
                said += more
        except OSError:  # nobody has the other end any more
            pass
        finally:
            os.close(ours)
        running.wait(60)
    return said.decode()


@pytest.mark.slow
def test_a_command_obeys(tmp_path: Path) -> None:
    assert ESCAPE in to_a_terminal(tmp_path)
    assert ESCAPE not in to_a_terminal(tmp_path, NO_COLOR="1")
    assert ESCAPE not in to_a_pipe(tmp_path)
    assert ESCAPE in to_a_pipe(tmp_path, FORCE_COLOR="1")
    assert "TELNYX_API_KEY is not set" in to_a_terminal(tmp_path, NO_COLOR="1")


def strings_of(module: Path) -> list[str]:
    tree = ast.parse(module.read_text())
    docstrings = {
        id(it.value)
        for it in ast.walk(tree)
        if isinstance(it, ast.Expr) and isinstance(it.value, ast.Constant)
    }
    return [
        it.value
        for it in ast.walk(tree)
        if isinstance(it, ast.Constant) and isinstance(it.value, str) and id(it) not in docstrings
    ]


def test_everything_coloured_goes_through_what_obeys() -> None:
    """`click.style` makes colours and `click.echo` takes them away; nobody writes them himself."""
    modules = sorted(GATEWAY.rglob("*.py"))
    escapes = {str(it.relative_to(GATEWAY)) for it in modules if ESCAPE in "".join(strings_of(it))}
    printing = {str(it.relative_to(GATEWAY)) for it in modules if "click.echo(" in it.read_text()}

    # There it is no colour: it clears a line of a terminal.
    assert escapes == {"output.py"}
    assert printing == {"output.py"}
