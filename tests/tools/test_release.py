"""A release: the same commit gives the same files, and the packages work by themselves."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata

from tests.test_dependencies import IMAGE_LOCK, PROJECT, entries
from tools.release.making import CHECKSUMS, ReleaseError, make

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VERSION = "7.8.9"
BUILD = (sys.executable, "-m", "hatchling", "build")


def run(folder: Path, *command: str | Path) -> str:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=True
    ).stdout


def clone_in(folder: Path) -> Path:
    """A clone of the last commit, which has a tag there."""
    run(folder, "git", "clone", "--quiet", "--no-tags", ROOT, folder / "clone")
    clone = folder / "clone"
    run(clone, "git", "tag", f"v{VERSION}")
    return clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_in(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def made(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a release, by their names without the version."""
    files = make(clone, tmp_path_factory.mktemp("dist"))
    return {it.name.replace(f"-{VERSION}", ""): it for it in files}


@pytest.fixture(scope="module")
def wheel(made: dict[str, Path]) -> Path:
    return made["telnyx_grpc_gateway-py3-none-any.whl"]


def test_every_file_has_the_version_of_the_tag(made: dict[str, Path]) -> None:
    names = sorted(it.name for it in made.values())

    assert names == [
        CHECKSUMS,
        f"conferencing-protos-{VERSION}.binpb",
        f"conferencing-protos-{VERSION}.tar.gz",
        f"telnyx-grpc-gateway-{VERSION}.cdx.json",
        f"telnyx_grpc_gateway-{VERSION}-py3-none-any.whl",
        f"telnyx_grpc_gateway-{VERSION}.tar.gz",
    ]


def test_the_checksums_are_those_of_the_files(made: dict[str, Path]) -> None:
    sums = made[CHECKSUMS]
    lines = [line.split("  ") for line in sums.read_text().splitlines()]
    told = {name: digest for digest, name in lines}

    assert told == {
        it.name: hashlib.sha256(it.read_bytes()).hexdigest() for it in made.values() if it != sums
    }


def test_another_clone_gives_the_same_bytes(made: dict[str, Path], tmp_path: Path) -> None:
    other = clone_in(tmp_path)
    for path in other.rglob("*"):
        if ".git" not in path.parts:
            os.utime(path, (10**9, 10**9))
    again = make(other, tmp_path / "dist")

    assert {it.name: it.read_bytes() for it in again} == {
        it.name: it.read_bytes() for it in made.values()
    }


def test_the_source_archive_gives_the_wheel(
    made: dict[str, Path], wheel: Path, tmp_path: Path
) -> None:
    with tarfile.open(made["telnyx_grpc_gateway.tar.gz"]) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(
        source,
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        "dist",
    )
    (built,) = (source / "dist").iterdir()

    assert _contents(built) == _contents(wheel)


def test_neither_package_has_tests(made: dict[str, Path], wheel: Path) -> None:
    with tarfile.open(made["telnyx_grpc_gateway.tar.gz"]) as tar:
        sources = {it.name.split("/", 1)[1] for it in tar}

    assert not [it for it in {*sources, *_contents(wheel)} if "test" in it.split("/")[0]]
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= sources


def test_its_metadata_is_valid_and_complete(wheel: Path) -> None:
    (text,) = (data for name, data in _contents(wheel).items() if name.endswith("/METADATA"))
    Metadata.from_email(text, validate=True)
    about: Message = Parser().parsestr(text.decode())

    assert (about["Name"], about["Version"]) == (PROJECT, VERSION)
    assert (about["License-Expression"], about["License-File"]) == ("Apache-2.0", "LICENSE")
    assert about["Requires-Python"] == ">=3.11"
    assert about["Description-Content-Type"] == "text/markdown"


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "-m", "venv", "empty")
    programs = tmp_path / "empty" / "bin"
    run(
        tmp_path,
        *(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--constraint", ROOT / "requirements.lock", wheel),
    )

    assert run(tmp_path, programs / "telnyx-gateway", "version") == f"{VERSION}\n"
    assert "every event arrived" in run(tmp_path, programs / "telnyx-gateway", "demo")


def test_the_bill_names_every_package_of_the_image_with_its_licence(made: dict[str, Path]) -> None:
    bill = json.loads(made["telnyx-grpc-gateway.cdx.json"].read_text())
    packages = {f"{it['name']}=={it['version']}": it for it in bill["components"]}

    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", VERSION)
    assert set(packages) == {it.partition(" ")[0] for it in entries(IMAGE_LOCK)}
    assert [name for name, it in packages.items() if not it["hashes"]] == []
    assert [name for name, it in packages.items() if "licenses" not in it] == []


def test_a_folder_that_has_something_in_it_is_left_alone(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(ReleaseError, match="is not empty"):
        make(clone, tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == ["mine"]


def _contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {it: archive.read(it) for it in archive.namelist()}
