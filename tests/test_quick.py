"""What `make check` runs: enough to be worth it, and nothing that takes long."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.quick import SLOW_FOLDERS

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"

# Whoever marks tests as slow until little is left would have a quick run that finds nothing.
SHARE_MIN = 0.6


def run_pytest(folder: Path, *options: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.slow
def test_the_quick_part_is_most_of_the_tests_and_has_some_of_each_folder() -> None:
    listed = run_pytest(ROOT, "--collect-only", "--quick")
    quick = Counter(re.findall(r"^tests/(\w+)(?=[/.]).*::", listed, re.MULTILINE))
    (counts,) = re.findall(r"^(\d+)/(\d+) tests collected", listed, re.MULTILINE)
    chosen, every = map(int, counts)
    # Each that has tests: a folder, or a module that is in none.
    places = {it.relative_to(TESTS).parts[0].removesuffix(".py") for it in TESTS.rglob("test_*.py")}

    assert chosen == quick.total()
    assert chosen >= SHARE_MIN * every
    assert places - quick.keys() <= {*SLOW_FOLDERS, "examples"}
    assert not quick.keys() & set(SLOW_FOLDERS)


def test_the_folders_of_slow_tests_exist() -> None:
    assert [it for it in SLOW_FOLDERS if not (TESTS / it).is_dir()] == []


CONFTEST = """
import pathlib
from hypothesis import settings
from tests.harness import quick
from tests.harness.quick import *

settings.register_profile("steady")
quick.ROOT, quick.QUICK_S_MAX = pathlib.Path(__file__).parent, {most}
"""
TEST = """
import pytest

def test_one():
    pass

@pytest.mark.slow
def test_other():
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "most", "ends"),
    [
        (["--quick"], 60.0, "1 passed, 1 deselected"),
        (["--quick"], 0.0, "1 failed, 1 deselected"),
        ([], 0.0, "2 passed"),
    ],
)
def test_what_is_marked_is_left_out_and_what_is_not_must_be_quick(
    tmp_path: Path, options: list[str], most: float, ends: str
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    (tmp_path / "conftest.py").write_text(CONFTEST.format(most=most))
    (tmp_path / "test_it.py").write_text(TEST)

    said = run_pytest(tmp_path, *options)

    assert ends in said.splitlines()[-1]
    assert ("make it quicker, or mark it" in said) == ("failed" in ends)
