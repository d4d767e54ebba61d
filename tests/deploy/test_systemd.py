"""The systemd unit, judged by systemd's own tools, which need no systemd that runs."""

import re
import subprocess
from pathlib import Path

from gateway.cli import EXIT_USAGE
from gateway.config import Settings, file_names, names
from tests.deploy.manifests import LATE_S
from tests.harness.needs import with_tool

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "telnyx-gateway.service"
TEXT = UNIT.read_text()

# How much a unit may be open to, from 0 to 10: a server that is on the network cannot be below 1.
EXPOSURE_MAX = 1.5

needs_systemd = with_tool("systemd-analyze")


def analyze(*arguments: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    # Where the gateway is installed there is nothing here.
    here = TEXT.replace("/opt/telnyx-gateway/bin/telnyx-gateway", "/usr/bin/env")
    (tmp_path / UNIT.name).write_text(here)

    assert analyze("verify", "--man=no", tmp_path / UNIT.name) == ""


@needs_systemd
def test_it_is_open_to_little() -> None:
    said = analyze("security", "--offline=true", UNIT)

    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found
    assert float(found[1]) <= EXPOSURE_MAX


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)


def test_its_environment_is_made_of_settings_and_its_secrets_are_credentials() -> None:
    env = dict(it.split("=", 1) for line in values("Environment") for it in line.split())
    credentials = {line.partition(":")[0] for line in values("LoadCredential")}
    files = {name: path for name, path in env.items() if name in file_names().values()}

    assert {*env} <= {*names(), *files}
    assert {path.removeprefix("%d/") for path in files.values()} == credentials
    assert all(path.startswith("%d/") for path in files.values())


def test_it_is_given_the_time_that_it_takes_to_end() -> None:
    drain_s = Settings().drain_timeout

    assert int(values("TimeoutStopSec")[0]) > drain_s + LATE_S
    assert values("KillSignal") == ["SIGTERM"]


def test_wrong_settings_are_not_tried_again_and_again() -> None:
    assert values("RestartPreventExitStatus") == [str(EXIT_USAGE)]
