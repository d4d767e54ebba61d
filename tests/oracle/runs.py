"""Many schedules, on all cores: each in a world of its own, each judged at once."""

import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.oracle.author import schedule
from tests.oracle.disk import fast_folder
from tests.oracle.kept import Keeping, in_file
from tests.oracle.stepped import RestlessError, SteppedLoop, run_stepped
from tests.oracle.stream import in_streams
from tests.oracle.tally import tally
from tests.oracle.verdict import Violation, violations
from tests.oracle.world import World

# Seeds that one process takes at a time.
_LOT = 25
# What keeps the logs of worlds, by the names of the homes; each is made in a folder.
HOMES: dict[str, Callable[[Path], AbstractContextManager[Keeping]]] = {
    "sqlite": lambda _: nullcontext(in_file),
    "jetstream-1": in_streams,
}

# What is shown of a failure; the rest is one ORACLE_SEED away.
_TEXTS_MAX = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule and what it broke."""

    seed: int
    found: Sequence[Violation]

    def __str__(self) -> str:
        texts = [f"  {violation}" for violation in self.found[:_TEXTS_MAX]]
        return "\n".join([str(schedule(self.seed)), "broke:", *texts])


@dataclass
class Outcome:
    schedules: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.schedules += other.schedules
        self.tally.update(other.tally)
        self.failures += other.failures


async def judge(loop: SteppedLoop, keeping: Keeping, seed: int, outcome: Outcome) -> None:
    """Run one schedule; its counts and its violations are added to an outcome."""
    outcome.schedules += 1
    with tempfile.TemporaryDirectory(dir=_fast()) as folder, keeping(loop, Path(folder)) as kept:
        try:
            story = await World(loop, kept, schedule(seed)).run()
        except RestlessError as error:
            outcome.failures.append(Failure(seed, [Violation("reliable", str(error))]))
            return
    found = violations(story.model, story.streams)
    found += [Violation("quiet", trouble) for trouble in loop.troubles]
    loop.troubles.clear()
    outcome.tally.update(tally(story))
    if found:
        outcome.failures.append(Failure(seed, found))


@contextmanager
def runner(home: str) -> Iterator[Callable[[Sequence[int]], Outcome]]:
    """Have something that runs schedules one after the other, over one home of the log."""
    with tempfile.TemporaryDirectory(dir=_fast()) as folder, HOMES[home](Path(folder)) as keeping:

        def run(seeds: Sequence[int]) -> Outcome:
            outcome = Outcome()

            async def judge_all(loop: SteppedLoop) -> None:
                for seed in seeds:
                    await judge(loop, keeping, seed, outcome)

            run_stepped(judge_all)
            return outcome

        yield run


def run_seeds(seeds: Sequence[int], home: str = "sqlite") -> Outcome:
    """Run schedules one after the other, over one home of the log."""
    with runner(home) as run:
        return run(seeds)


def run_on_all_cores(seeds: range, home: str = "sqlite") -> Outcome:
    """Run schedules beside each other."""
    lots = [seeds[at : at + _LOT] for at in range(0, len(seeds), _LOT)]
    outcome = Outcome()
    # Afresh: a fork would inherit the locks of this process's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for part in pool.map(partial(run_seeds, home=home), lots):
            outcome.add(part)
    return outcome


def _fast() -> Path:
    return fast_folder(Path(tempfile.gettempdir()))
