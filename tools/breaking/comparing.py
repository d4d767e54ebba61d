"""What of the protos would break clients that have the protos of the last release.

buf compares names, numbers, types and options. It does not know that a field became required,
because `google.api.field_behavior` is an option like any other to it: that is compared here.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet

# Stands for the last release as long as there is none.
BASELINE = Path("tools/breaking/baseline.binpb")

# How releases are tagged.
TAGS = "v[0-9]*"

_BUF = Path(sys.executable).with_name("buf")

# The exit code of buf when it has found something, and not failed.
_FOUND = 100

# Python 3.11 has filters from its fourth release on.
_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@dataclass(frozen=True)
class Earlier:
    """The protos of an earlier version, as a descriptor set with imports."""

    name: str
    descriptors: Path


@contextmanager
def earlier(root: Path) -> Iterator[Earlier]:
    """Yield the protos of the last release before this commit, or else the baseline.

    Raises RuntimeError if git cannot read the release's tag, or buf its protos.
    """
    tag = _last_tag(root)
    if tag is None:
        yield Earlier("the baseline", root / BASELINE)
        return
    with TemporaryDirectory() as folder:
        packed = _run(root, "git", "archive", tag, "buf.yaml", "protos", "third_party")
        with tarfile.open(fileobj=BytesIO(packed)) as tar:
            tar.extractall(folder, **_SAFELY)
        built = Path(folder) / "protos.binpb"
        build(Path(folder), built)
        yield Earlier(tag, built)


def breaks(root: Path, before: Earlier) -> list[str]:
    """Return what would break clients, a line each, by file and place where buf knows it.

    Raises RuntimeError if buf cannot read the protos.
    """
    with TemporaryDirectory() as folder:
        built = Path(folder) / "protos.binpb"
        # First of all, because to `buf breaking` a mistake is something that it has found.
        build(root, built)
        old, new = (_required(it.read_bytes()) for it in (before.descriptors, built))
    compared = subprocess.run(
        [_BUF, "breaking", "protos", "--against", before.descriptors.resolve()],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if compared.returncode not in (0, _FOUND):
        raise RuntimeError(f"buf cannot compare the protos: {compared.stderr.strip()}")
    stricter = [
        f'Field "{name}" became REQUIRED: clients that do not set it are refused.'
        for message, fields in old.items()
        for name in sorted(new.get(message, set()) - fields)
    ]
    return [*compared.stdout.splitlines(), *stricter]


def build(root: Path, written: Path) -> None:
    """Write the descriptors of the protos and of their imports, without comments.

    Raises RuntimeError if buf cannot read the protos.
    """
    _run(root, _BUF, "build", "protos", "--exclude-source-info", "-o", written.resolve())


def _required(descriptors: bytes) -> dict[str, set[str]]:
    """Return the full names of the required fields of each message, those without any included."""
    found: dict[str, set[str]] = {}

    def add(package: str, message: DescriptorProto) -> None:
        name = f"{package}.{message.name}"
        found[name] = {
            f"{name}.{field.name}"
            for field in message.field
            if field_behavior_pb2.REQUIRED
            in field.options.Extensions[field_behavior_pb2.field_behavior]
        }
        for nested in message.nested_type:
            add(name, nested)

    for file in FileDescriptorSet.FromString(descriptors).file:
        for message in file.message_type:
            add(file.package, message)
    return found


def _last_tag(root: Path) -> str | None:
    """Return the newest release's tag before this commit; None without one, or without git."""
    try:
        told = _run(root, "git", "describe", "--tags", "--abbrev=0", "--match", TAGS)
    except (OSError, RuntimeError):
        return None
    return told.decode().strip()


def _run(root: Path, *command: str | Path) -> bytes:
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode:
        program = Path(command[0]).name
        raise RuntimeError(f"{program} {command[1]} failed: {done.stderr.decode().strip()}")
    return done.stdout
