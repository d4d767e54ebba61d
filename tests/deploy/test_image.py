"""The Dockerfile, as far as it can be judged without building it."""

import re
import subprocess
import sys
from pathlib import Path

from gateway.cli import main
from gateway.config import file_names, names
from tests.deploy.image import DOCKERFILE, ROOT, image, stages


def test_a_linter_of_dockerfiles_finds_nothing() -> None:
    linted = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKERFILE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_its_base_is_named_down_to_the_patch_and_is_the_same_in_both_stages() -> None:
    bases = {stage[0][1].removesuffix(" AS build") for stage in stages()}

    (base,) = bases
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    # The Python that the tests run on in CI.
    assert base.startswith(f"python:{sys.version_info.major}.{sys.version_info.minor}.")


def test_the_last_stage_installs_nothing_and_takes_only_what_was_built() -> None:
    last = stages()[-1]
    copied = [value for name, value in last if name in ("COPY", "ADD")]
    run = " ".join(value for name, value in last if name == "RUN")

    assert copied == ["--from=build /opt/gateway /opt/gateway"]
    assert not re.search(r"\b(apt|apt-get|pip|curl|wget|gcc)\b", run)


def test_it_runs_as_a_number_that_is_not_root_and_is_told_to_end_as_the_gateway_hears_it() -> None:
    assert (image().user, image().group) == (10_001, 10_001)
    assert image().stop_signal == "SIGTERM"
    assert image().folder == image().volume


def test_its_command_is_one_of_the_gateways() -> None:
    program, command = image().command

    assert program == "telnyx-gateway"
    assert command in main.commands


def test_it_sets_only_settings_that_there_are_and_no_secret_and_nobodys_trust() -> None:
    settings = {it for it in image().env if it.startswith(("GATEWAY_", "TELNYX_"))}

    assert settings <= {*names()}
    assert not settings & {*file_names(), *file_names().values()}
    assert not [it for it in settings if it.endswith("_TRUST")]


def test_what_docker_is_sent_is_what_the_build_copies() -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source for name, value in stages()[0] if name == "COPY" for source in value.split()[:-1]
    }

    assert ignored[0] == "*"
    assert sent == copied
    assert all((ROOT / it).exists() for it in sent)
