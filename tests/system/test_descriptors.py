"""Limits of open files, as the system sets them for the gateway."""

import subprocess
from pathlib import Path

import pytest

from gateway.process import DESCRIPTORS_ENOUGH
from tests.harness.process import command, environment

TOLD = """
import resource
from gateway.process import raise_descriptors
from gateway.telemetry.logs import logs_set_up
with logs_set_up("info", "text"):
    raise_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize("hard", [256, DESCRIPTORS_ENOUGH])
def test_a_low_limit_is_raised_as_far_as_may_be_and_warned_about(tmp_path: Path, hard: int) -> None:
    script = tmp_path / "told.py"
    script.write_text(TOLD)
    python = command()[0]
    told = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -Sn 128 && ulimit -Hn {hard} && exec {python} {script}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert int(told.stdout) == hard
    warned = f"only {hard} files and connections can be open" in told.stderr
    assert warned == (hard < DESCRIPTORS_ENOUGH)
