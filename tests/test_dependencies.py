"""The dependencies: what is locked and installed, and its licences; no network is needed."""

import hashlib
import re
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.release.licences import BY_THEIR_FILES, licences_of

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
# What the image installs, and what it builds the wheel with.
IMAGE_LOCK, BUILD_LOCK = ROOT / "deploy" / "requirements.lock", ROOT / "deploy" / "build.lock"

PROJECT = "telnyx-grpc-gateway"

# Licences that let everybody do everything, with a notice at the most ...
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    *("Unlicense", "Zlib"),
}
# ... and those that ask for the source of changed files of their own, which nobody here changes.
BY_FILE = {"MPL-2.0"}

# What a tool may have as well: it is run by tests, is no part of the gateway, and reaches no user.
OF_TOOLS = {
    *("CC0-1.0", "GPL-3.0-only"),
    # What docutils says of the files that it has for an editor.
    *("GNU General Public License (GPL)", "Public Domain"),
}

_TITLES = {"Apache-2.0": "Apache License", "MIT": "MIT License"}


def entries(path: Path) -> list[str]:
    """The lines of a lock file that name a package, without the hashes that follow."""
    lines = path.read_text().splitlines()
    return [it.removesuffix(" \\") for it in lines if it and not it.startswith((" ", "#"))]


def locked(path: Path = LOCK) -> dict[str, Requirement]:
    """The packages that are to be installed here, by their names."""
    found = (Requirement(it) for it in entries(path))
    return {it.name: it for it in found if it.marker is None or it.marker.evaluate()}


def pin(requirement: Requirement) -> str:
    (only,) = requirement.specifier
    assert only.operator == "=="
    return only.version


def needed(name: str, extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """A package, and all that it needs here."""
    yield canonicalize_name(name)
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        wanted = ({"extra": extra} for extra in (*extras, ""))
        if requirement.marker is None or any(map(requirement.marker.evaluate, wanted)):
            yield from needed(requirement.name, frozenset(requirement.extras))


RUNTIME = {*needed(PROJECT)} - {PROJECT}


def test_every_line_of_the_lock_is_a_name_and_one_version_and_no_address() -> None:
    for line in LOCK.read_text().splitlines():
        assert "://" not in line
        if not line.startswith("    #"):
            assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?", line), line


@pytest.mark.parametrize("name", sorted(locked()))
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    assert metadata.version(name) == pin(locked()[name])


def test_all_that_the_gateway_needs_is_locked() -> None:
    assert {*locked()} >= RUNTIME


def test_the_image_installs_what_the_gateway_needs_and_nothing_else() -> None:
    """`make lock-image` writes both files anew."""
    assert {*locked(IMAGE_LOCK)} == RUNTIME
    assert {*locked(BUILD_LOCK)} == {*needed("hatch-vcs"), *needed("hatchling")}


@pytest.mark.parametrize("path", [IMAGE_LOCK, BUILD_LOCK], ids=lambda it: it.name)
def test_the_images_versions_are_those_that_are_tested_each_with_its_hashes(path: Path) -> None:
    of_lock = {*entries(LOCK)}
    lines = path.read_text()

    assert [it for it in entries(path) if it not in of_lock] == []
    assert "://" not in lines
    packages = re.split(r"^(?=[a-z0-9])", lines, flags=re.MULTILINE)[1:]
    assert len(packages) == len(entries(path))
    for package in packages:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", package), package


@pytest.mark.parametrize("name", sorted(RUNTIME))
def test_what_the_gateway_is_made_of_may_be_used_by_everybody(name: str) -> None:
    assert licences_of(name) <= PERMISSIVE | BY_FILE


@pytest.mark.parametrize("name", sorted({*locked()} - RUNTIME))
def test_tools_may_be_used_by_everybody(name: str) -> None:
    assert licences_of(name) <= PERMISSIVE | BY_FILE | OF_TOOLS


def test_a_licence_that_is_told_by_its_files_is_not_in_the_metadata() -> None:
    for name, licence in BY_THEIR_FILES.items():
        assert licences_of(name) == {licence}
        texts = [
            path.locate().__fspath__()
            for path in metadata.files(name) or ()
            if "LICENSE" in path.name.upper()
        ]
        assert any(_TITLES[licence] in Path(it).read_text() for it in texts), texts


def test_the_gateway_has_such_a_licence_itself() -> None:
    assert licences_of(PROJECT) <= PERMISSIVE
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", sorted(locked()))
def test_the_installed_files_are_those_that_the_packages_recorded(name: str) -> None:
    """Each wheel lists its files with their hashes: nothing was changed or left out.

    A machine behind a proxy may append its own authorities to a bundle of certificates.
    """
    files = [it for it in metadata.files(name) or () if it.hash is not None]

    assert files
    for file in files:
        assert file.hash is not None
        assert file.hash.mode == "sha256", file
        recorded = _bytes_of(file)
        if file.name == "cacert.pem":
            recorded = recorded[: file.size]
        found = hashlib.sha256(recorded).digest()
        assert urlsafe_b64encode(found).decode().rstrip("=") == file.hash.value, file


@pytest.mark.parametrize("name", sorted(locked()))
def test_each_package_has_the_versions_that_it_asks_for(name: str) -> None:
    for line in metadata.requires(name) or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            assert wanted.specifier.contains(metadata.version(wanted.name), prereleases=True), line


def test_nothing_is_locked_that_nobody_asked_for() -> None:
    asked = (Requirement(it) for it in _group("bench"))
    closure = {it for one in asked for it in needed(one.name, frozenset(one.extras))}

    assert {*locked()} == RUNTIME | closure


def test_the_image_installs_wheels_whose_hashes_are_demanded() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [it for it in re.split(r"\n|&&", text) if re.search(r"\bpip\b.*\binstall\b", it)]

    assert len(installs) == 3
    *of_locks, of_the_wheel = installs
    for it in of_locks:
        assert "--only-binary=:all: --require-hashes -r " in it
    assert of_the_wheel.endswith("install --no-deps dist/*.whl")
    for path in (IMAGE_LOCK, BUILD_LOCK):
        hashes = re.findall(r"--hash=(\w+):", path.read_text())
        assert {*hashes} == {"sha256"}


def test_what_is_copied_from_others_stands_beside_its_licence() -> None:
    copied = [it for it in (ROOT / "third_party").iterdir() if it.is_dir()]

    assert copied
    for folder in copied:
        assert "Apache License" in (folder / "LICENSE").read_text(), folder


@pytest.mark.parametrize("folder", ["tests/clients/go", "clients/go", "examples/go"])
def test_the_modules_of_clients_in_go_are_locked_with_hashes(folder: str) -> None:
    wanted = re.findall(
        r"^(?:require)?\s+(\S+\.\S+/\S+) (v\S+)", (ROOT / folder / "go.mod").read_text(), re.M
    )
    sums = (ROOT / folder / "go.sum").read_text()

    assert wanted
    for module, version in wanted:
        assert re.search(rf"^{re.escape(module)} {re.escape(version)} h1:", sums, re.M), module


def _bytes_of(file: metadata.PackagePath) -> bytes:
    return Path(file.locate().__fspath__()).read_bytes()


def _group(name: str) -> Iterator[str]:
    """The requirements of a dependency group, and of those that it includes."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for it in groups[name]:
        if isinstance(it, str):
            yield it
        else:
            yield from _group(it["include-group"])
