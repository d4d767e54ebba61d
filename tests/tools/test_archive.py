"""The archive of the protos: what is in it, that it is reproducible, and that it is enough."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tools.archive.packing import DESCRIPTORS, MADE, PARTS, archive_of, descriptors_of

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
NAME = "conferencing-protos-1"
SERVICES = (*COMMAND_SERVICES, EVENT_SERVICE)


def clone_in(folder: Path, *, time_s: float) -> Path:
    """What a clone has, all of it written at one time."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_file():
            shutil.copy(ROOT / part, folder / part)
        else:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(*MADE))
    for path in folder.rglob("*"):
        os.utime(path, (time_s, time_s))
    return folder


# Python 3.11 has filters from its fourth release on.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(archive_of(ROOT, NAME))) as tar:
        tar.extractall(tmp_path, **SAFELY)
    return tmp_path / NAME


def buf(folder: Path, *arguments: str) -> str:
    """Run buf, which must succeed; returns what it printed."""
    result = subprocess.run(
        [BUF, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_same_protos_give_the_same_bytes_whenever_and_by_whomever(tmp_path: Path) -> None:
    older, newer = (
        clone_in(tmp_path / f"{time_s}", time_s=time_s) for time_s in (10**9, 1_500_000_001)
    )
    # Tools have worked in one of them, whose files are not as readable either.
    for made in ("go/gen/x.go", "rust/target/y", "typescript/node_modules/z/z.js"):
        path = newer / "clients" / made
        path.parent.mkdir(parents=True)
        path.write_text("made")
    (newer / "LICENSE").chmod(0o600)

    assert archive_of(older, NAME) == archive_of(newer, NAME)


def test_it_has_the_files_of_a_clone_and_the_descriptors(unpacked: Path) -> None:
    files = {str(it.relative_to(unpacked)) for it in unpacked.rglob("*") if it.is_file()}

    protos = {str(it.relative_to(ROOT)) for it in (ROOT / "protos").rglob("*.proto")}
    assert protos | {"LICENSE", "buf.yaml", DESCRIPTORS, "third_party/googleapis/LICENSE"} <= files
    assert {"clients/README.md", "clients/go/go.mod", "clients/rust/build.rs"} <= files
    assert {it.partition("/")[0] for it in files} == {
        *("LICENSE", "buf.yaml", "clients", "protos", "third_party", DESCRIPTORS)
    }
    for path in protos:
        assert (unpacked / path).read_bytes() == (ROOT / path).read_bytes()


def test_the_descriptors_are_all_that_a_program_needs() -> None:
    pool = DescriptorPool()
    for file in descriptors_of(ROOT).file:
        # Raises if a file is missing that this one imports.
        file.ClearField("source_code_info")
        pool.AddSerializedFile(file.SerializeToString())

    for service in SERVICES:
        rpcs = pool.FindServiceByName(service.full_name).methods_by_name
        assert rpcs.keys() == service.methods_by_name.keys()


def test_every_message_field_rpc_and_value_has_its_comment() -> None:
    for file in descriptors_of(ROOT).file:
        if not file.name.startswith("conferencing/"):
            continue
        commented = {
            tuple(it.path) for it in file.source_code_info.location if it.leading_comments.strip()
        }
        # Numbers of fields in FileDescriptorProto and what it holds.
        expected: list[tuple[int, ...]] = [(4, i) for i in range(len(file.message_type))]
        expected += [
            (4, i, 2, j) for i, it in enumerate(file.message_type) for j in range(len(it.field))
        ]
        expected += [
            (5, i, 2, j) for i, it in enumerate(file.enum_type) for j in range(len(it.value))
        ]
        expected += [
            (6, i, 2, j) for i, it in enumerate(file.service) for j in range(len(it.method))
        ]
        assert [it for it in expected if it not in commented] == [], file.name


def test_protos_that_protoc_does_not_accept_are_not_packed(tmp_path: Path) -> None:
    clone = clone_in(tmp_path, time_s=10**9)
    (clone / "protos" / "conferencing" / "v1" / "rest.proto").write_text("syntax = ?;")

    with pytest.raises(RuntimeError, match="protoc does not accept"):
        archive_of(clone, NAME)


def test_buf_works_in_the_unpacked_archive(unpacked: Path) -> None:
    buf(unpacked, "lint")
    (command,) = re.findall(r"^buf (curl .+)$", (unpacked / "clients/README.md").read_text(), re.M)
    listed = buf(unpacked, *command.split())

    assert set(listed.split()) == {
        f"{service.full_name}/{rpc.name}" for service in SERVICES for rpc in service.methods
    }


def test_the_target_of_make_names_the_file_by_the_version(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tools.archive", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()

    assert [str(it) for it in tmp_path.iterdir()] == [made]
    with tarfile.open(made) as tar:
        (top,) = {it.name.partition("/")[0] for it in tar}
    assert Path(made).name == f"{top}.tar.gz"
