"""The wheel: what `pip install` gives to those who have no clone."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_brings_the_gateway_and_the_stubs_and_no_other_package(contents: set[str]) -> None:
    tops = {name.partition("/")[0] for name in contents}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"gateway", "conferencing"}


def test_every_module_of_the_gateway_with_its_data_and_every_stub_is_in_it(
    contents: set[str],
) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "gateway").rglob("*.py")}
    stubs = {
        str(path.relative_to(ROOT / "generated"))
        for path in (ROOT / "generated").rglob("*.py*")
        if path.suffix in (".py", ".pyi")
    }

    folder = ROOT / "gateway/sandbox/scenario/shipped"
    scenarios = {str(path.relative_to(ROOT)) for path in folder.glob("*.toml")}
    assert scenarios
    assert modules | stubs | scenarios | {"gateway/sandbox/api.json"} <= contents


def test_both_are_marked_as_typed_as_its_classifier_says(contents: set[str]) -> None:
    assert {"gateway/py.typed", "conferencing/v1/py.typed"} <= contents
