"""What the Dockerfile says, and the environment that its first stage makes."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"

Instruction = tuple[str, str]


@dataclass(frozen=True)
class Image:
    """What a container of the image begins with."""

    env: dict[str, str]
    user: int
    group: int
    folder: str
    volume: str
    command: tuple[str, ...]
    health_check: tuple[str, ...]
    ports: frozenset[int]
    stop_signal: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, the first `FROM` included."""
    parser = DockerfileParser(fileobj=io.BytesIO(DOCKERFILE.read_bytes()))
    found: list[list[Instruction]] = []
    for it in parser.structure:
        if it["instruction"] == "FROM":
            found.append([])
        if it["instruction"] != "COMMENT":
            found[-1].append((it["instruction"], it["value"]))
    return found


def image() -> Image:
    """The last stage. Each instruction stands in it once, but for those that add."""
    said = dict(stages()[-1])
    user, _, group = said["USER"].partition(":")
    health_check = said["HEALTHCHECK"]
    return Image(
        env=dict(it.split("=", 1) for it in shlex.split(said["ENV"])),
        user=int(user),
        group=int(group),
        folder=said["WORKDIR"],
        volume=said["VOLUME"],
        # The form with brackets: no shell stands between, which would keep signals to itself.
        command=(*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])),
        health_check=tuple(json.loads(health_check[health_check.index("[") :])),
        ports=frozenset(map(int, said["EXPOSE"].split())),
        stop_signal=said["STOPSIGNAL"],
    )


def build(folder: Path) -> Path:
    """Do what the first stage does, with the Python at hand; returns what becomes `/opt`.

    Needs root. Its commands are run as they stand, with a folder mounted in the place of `/opt`.
    """
    context, opt = folder / "build", folder / "opt"
    context.mkdir()
    arguments: dict[str, str] = {}
    for name, value in stages()[0]:
        if name == "ARG":
            argument, _, default = value.partition("=")
            arguments[argument] = default
        elif name == "COPY":
            _copy(value.split(), context)
        elif name == "RUN":
            _run(value, context, opt, arguments)
    return opt


def _copy(words: list[str], context: Path) -> None:
    *sources, target = words
    for source in sources:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, context / target, ignore=ignored)
        else:
            shutil.copy(ROOT / source, context / target)


def _run(command: str, folder: Path, opt: Path, arguments: dict[str, str]) -> None:
    opt.mkdir(exist_ok=True)
    mounts = "".join(f"{line}\n" for line in _mounts(opt))
    script = f"set -e\n{mounts}mount --bind {opt} /opt\nexec /bin/sh -c {shlex.quote(command)}\n"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script],
        cwd=folder,
        env={**os.environ, **arguments, "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _mounts(opt: Path) -> Iterator[str]:
    """What else is in `/opt` stays there: pip may look for wheels in it."""
    for there in Path("/opt").iterdir():
        if there.is_dir():
            (opt / there.name).mkdir(exist_ok=True)
            yield f"mount --rbind {shlex.quote(str(there))} {shlex.quote(str(opt / there.name))}"
