"""The suite bites: each broken build is found, by the guarantee that it breaks."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.breaks import CASES, PLAYS, Play
from tests.chaos.broken_gateway import BREAK
from tests.chaos.stage import Stage, set_up
from tests.harness.loop import LoopThread
from tests.harness.nats import with_nats
from tests.oracle.verdict import Violation, violations

pytestmark = with_nats


# Most of their time processes only start.
_AT_ONCE = 3


def _judged(stage: Stage, play: Play) -> list[Violation]:
    stage.audit()
    return violations(stage.log.model, play.reader.streams)


def _played(loop: LoopThread, folder: Path, name: str) -> set[str]:
    """Return which guarantees a broken build is found to break."""
    with set_up(loop, folder, 1, 2, "tests.chaos.broken_gateway", **{BREAK: name}) as stage:
        play = Play(stage)
        CASES[name].play(play)
        return {it.guarantee for it in _judged(stage, play)}


@pytest.fixture(scope="module")
def played(
    loop: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[set[str]]]]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {
            name: pool.submit(_played, loop, tmp_path_factory.mktemp("broken"), name)
            for name in CASES
        }


@pytest.mark.parametrize("name", CASES)
def test_a_broken_build_is_found(name: str, played: Mapping[str, Future[set[str]]]) -> None:
    assert CASES[name].broken.guarantee in played[name].result()


def test_nothing_is_found_of_a_whole_one(loop: LoopThread, tmp_path: Path) -> None:
    with set_up(loop, tmp_path, 1, 2) as stage:
        play = Play(stage)
        for part in PLAYS:
            part(play)
            stage.settle()

        assert _judged(stage, play) == []
        assert stage.faults() == []
