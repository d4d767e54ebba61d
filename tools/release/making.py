"""Makes the files of a release from a clone. The same commit gives the same bytes."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tools.archive.packing import archive_of, descriptors_of
from tools.release.bill import bill_of

NAME = "telnyx-grpc-gateway"
CHECKSUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """The files cannot be made; the text says what to do."""


def make(root: Path, folder: Path) -> Sequence[Path]:
    """Write packages, protos, descriptors, bill and checksums into a folder; return their paths.

    The version is that of the tag, or of the commit if that has none. Raises ReleaseError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty: remove what is in it, or name another folder")
    made_at = datetime.fromtimestamp(int(_run(root, "git", "log", "-1", "--format=%ct")), UTC)
    _build(root, folder, made_at)
    (wheel,) = folder.glob("*.whl")
    version = wheel.name.split("-")[1]
    protos = f"conferencing-protos-{version}"
    (folder / f"{protos}.tar.gz").write_bytes(archive_of(root, protos))
    described = descriptors_of(root).SerializeToString(deterministic=True)
    (folder / f"{protos}.binpb").write_bytes(described)
    (folder / f"{NAME}-{version}.cdx.json").write_text(bill_of(root, NAME, version, made_at))
    made = sorted(folder.iterdir())
    sums = [f"{hashlib.sha256(it.read_bytes()).hexdigest()}  {it.name}\n" for it in made]
    (folder / CHECKSUMS).write_text("".join(sums))
    return [*made, folder / CHECKSUMS]


def _build(root: Path, folder: Path, made_at: datetime) -> None:
    """Make the source archive and the wheel. What is not committed has no place in a release."""
    stamp = str(int(made_at.timestamp()))
    command = (sys.executable, "-m", "hatchling", "build", "--directory", str(folder.resolve()))
    _run(root, *command, SOURCE_DATE_EPOCH=stamp)


def _run(root: Path, *command: str, **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
