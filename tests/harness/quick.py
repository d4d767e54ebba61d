"""`pytest --quick`: the tests that are worth running at every save, and only those.

What takes longer is marked `slow`, or is in a folder of such tests, and is left out. That stays
true because a test that is not marked, and takes far longer than quick tests do, fails here.
Tests of properties look at fewer examples.
"""

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# Folders in which every test is slow: whole processes, random histories, attacks.
SLOW_FOLDERS = (
    "chaos",
    "clients",
    "conformance",
    "envoy",
    "hostile",
    "interop",
    "oracle",
    "system",
    "toolchains",
)

# Of each property, where the test does not say how many.
EXAMPLES = 20

# What a test that is not marked may take, in seconds: more than ten times what it should, for
# machines that are busy with something else.
QUICK_S_MAX = 10.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out tests that are marked slow")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("quick"):
        settings.register_profile("quick", settings.get_profile("steady"), max_examples=EXAMPLES)
        settings.load_profile("quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("quick"):
        return
    config.hook.pytest_deselected(items=[it for it in items if is_slow(it)])
    items[:] = [it for it in items if not is_slow(it)]


def is_slow(item: pytest.Item) -> bool:
    folder = item.path.relative_to(ROOT).parts[0]
    return folder in SLOW_FOLDERS or item.get_closest_marker("slow") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # What is set up may be for others, too.
    of_its_own = report.passed and report.when == "call"
    if of_its_own and report.duration > QUICK_S_MAX and item.config.getoption("quick"):
        report.outcome = "failed"
        report.longrepr = (
            f"it took {report.duration:.1f} s: make it quicker, or mark it `@pytest.mark.slow`"
        )
    return report
