"""The programs of each language, built once; what this machine lacks is skipped, but not in CI."""

import pytest

from tests.harness.needs import IN_CI
from tests.interop.programs import PROGRAMS, Built


@pytest.fixture(scope="session")
def built() -> dict[str, Built]:
    """All programs that can be built here. In CI all have to be."""
    return {name: it.build() for name, it in PROGRAMS.items() if IN_CI or not it.missing()}


@pytest.fixture(params=PROGRAMS)
def name(request: pytest.FixtureRequest) -> str:
    chosen = str(request.param)
    if (missing := PROGRAMS[chosen].missing()) and not IN_CI:
        pytest.skip(f"{chosen} needs {', '.join(missing)}, which is not here")
    return chosen


@pytest.fixture
def program(name: str, built: dict[str, Built]) -> Built:
    return built[name]
