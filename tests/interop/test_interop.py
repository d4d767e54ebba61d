"""All clients beside one gateway: nothing lost, nothing doubled, in order, whatever is killed."""

from collections.abc import Iterator, Mapping

import pytest

from tests.interop import commands, cuts
from tests.interop.commands import Stand
from tests.interop.cuts import Seen
from tests.interop.programs import Built

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    return cuts.run(built, tmp_path_factory.mktemp("cuts"))


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with commands.stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


def test_a_subscriber_keeps_what_the_log_has(name: str, seen: Mapping[str, Seen]) -> None:
    found = seen[name]

    assert (found.lost, found.doubled) == (0, 0)
    assert found.kept == found.log


def test_a_command_succeeds_and_failures_are_told(program: Built, stand: Stand) -> None:
    assert commands.faults(commands.cases(program, stand)) == []
