"""The fair queue: whose turn it is, who waits too long, and what is left behind by those who go."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conference.errors import TooBusyError
from gateway.conference.fair_queue import Ask, FairQueue, Rank
from gateway.tokenbucket import TokenBucket
from tests.harness.virtual_time import run_in_virtual_time

PER_S, BURST = 10, 10


def now() -> float:
    return asyncio.get_running_loop().time()


class Stage:
    """A queue with ten tokens a second, and the turns that were granted in it."""

    def __init__(self) -> None:
        self.queue = FairQueue(TokenBucket(PER_S, BURST, now))
        self.began = now()
        # When which key had its turn.
        self.turns: list[tuple[float, str]] = []

    async def ask(
        self,
        flow: str,
        key: str,
        rank: Rank = Rank.PROMPT,
        patience_s: float = math.inf,
        tokens: int = 1,
    ) -> bool:
        turn = await self.queue.turn(Ask(flow, key, tokens, rank, patience_s))
        if turn:
            self.turns.append((round(now() - self.began, 3), key))
        return turn

    async def exhausted(self) -> None:
        """Have all tokens be taken."""
        assert await self.ask("first", "first", tokens=BURST)
        self.turns.clear()

    def begin(self, *asks: tuple[str, str, Rank]) -> list[asyncio.Task[bool]]:
        return [asyncio.create_task(self.ask(*it)) for it in asks]

    @property
    def left(self) -> int:
        """What is kept for those who wait."""
        return len(self.queue._by_key) + sum(
            len(line._flows) + line.keys for line in self.queue._lines.values()
        )

    @property
    def order(self) -> str:
        return " ".join(key for _, key in self.turns)


def staged(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    async def run() -> Stage:
        stage = Stage()
        await stage.exhausted()
        await story(stage)
        assert stage.left == 0
        return stage

    return run_in_virtual_time(run())


P, W = Rank.PROMPT, Rank.WHENEVER


def test_who_asks_for_much_makes_others_wait_for_one_thing() -> None:
    async def story(stage: Stage) -> None:
        greedy = [("greedy", f"g{number}", P) for number in range(100)]
        asks = stage.begin(*greedy)
        await asyncio.sleep(0)
        asks += stage.begin(("modest", "m1", P), ("other", "o1", P), ("modest", "m2", P))
        await asyncio.gather(*asks)

    assert staged(story).order.startswith("g0 m1 o1 g1 m2 g2 g3 ")


def test_what_is_as_good_later_waits_for_all_others_but_not_for_ever() -> None:
    async def story(stage: Stage) -> None:
        asks = stage.begin(*[("w", f"w{number}", W) for number in range(3)])
        await asyncio.sleep(0)
        asks += stage.begin(*[("p", f"p{number}", P) for number in range(20)])
        asks += stage.begin(("p", "end", Rank.BEGUN))
        await asyncio.gather(*asks)

    order = staged(story).order.split()

    assert order[:3] == ["end", "p0", "p1"]
    assert [order.index(f"w{number}") for number in range(3)] == [9, 19, 23]


def test_the_same_thing_is_granted_once_whoever_waits_for_it() -> None:
    async def story(stage: Stage) -> None:
        flows = [(f"f{number % 7}", "same", W if number % 2 else P) for number in range(100)]
        asks = stage.begin(*flows, ("f8", "other", P))
        assert (await asyncio.gather(*asks)).count(True) == 2

    assert staged(story).order == "same other"


def test_who_would_wait_too_long_is_refused_at_once_and_the_others_are_not() -> None:
    async def story(stage: Stage) -> None:
        async def ask(number: int) -> str:
            try:
                await stage.ask("flow", str(number), P, patience_s=2)
            except TooBusyError:
                assert now() == pytest.approx(stage.began, abs=0.001)
                return "refused"
            return "served"

        ends = await asyncio.gather(*(ask(number) for number in range(100)))
        assert (ends.count("served"), ends[:20].count("served")) == (20, 20)
        assert stage.queue.refused == 80

    assert staged(story).turns[-1] == (2, "19")


def test_who_joins_those_that_wait_for_the_same_is_not_refused() -> None:
    async def story(stage: Stage) -> None:
        asks = [
            asyncio.create_task(stage.ask("flow", "same", P, patience_s=1)) for _ in range(1_000)
        ]
        assert (await asyncio.gather(*asks)).count(True) == 1

    staged(story)


def test_an_estimate_that_was_wrong_ends_the_wait_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        late = asyncio.create_task(stage.ask("late", "late", P, patience_s=0.15))
        await asyncio.sleep(0)
        ends = stage.begin(*[("x", f"x{number}", Rank.BEGUN) for number in range(5)])
        with pytest.raises(TooBusyError, match="no response came"):
            await late
        await asyncio.gather(*ends)

    assert "late" not in staged(story).order


def test_those_who_come_and_go_leave_nothing_and_take_nothing() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(1_000):
            asks = stage.begin(("churn", "c", P), ("churn", "d", W))
            await asyncio.sleep(0)
            for it in asks:
                it.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
            assert stage.left == 0
        assert await stage.ask("honest", "h", P)

    # The clock has moved by a little at each step of the loop.
    assert staged(story).turns == [(0.1, "h")]


@pytest.mark.parametrize("later_s", [-1e-10, 1e-10])
def test_a_turn_that_comes_as_it_is_given_up_is_another_ones(later_s: float) -> None:
    """In the same step of the loop, before the turn is granted and after."""

    async def story(stage: Stage) -> None:
        first, second = stage.begin(("a", "a", P), ("b", "b", P))
        await asyncio.sleep(0)
        timer = stage.queue._timer
        assert timer is not None
        asyncio.get_running_loop().call_at(timer.when() + later_s, first.cancel)
        assert await second
        with pytest.raises(asyncio.CancelledError):
            await first

    ((at, key),) = staged(story).turns
    assert key == "b"
    assert at == pytest.approx(0.1, abs=0.002)


STORIES = st.lists(
    st.tuples(
        st.floats(0, 10, allow_subnormal=False),
        st.sampled_from("abc"),
        st.sampled_from("uvwxyz"),
        st.sampled_from(list(Rank)),
        st.sampled_from([0.0, 0.5, 3.0, math.inf]),
        st.integers(1, 3),
        # When it is given up.
        st.sampled_from([0.0, 0.01, 1.0, math.inf]),
    ),
    max_size=50,
)


@given(STORIES)
def test_everybody_comes_to_an_end_and_no_more_turns_are_granted_than_tokens(
    asks: list[tuple[float, str, str, Rank, float, int, float]],
) -> None:
    taken: list[tuple[float, int]] = []

    async def story(stage: Stage) -> None:
        async def ask(
            at: float, flow: str, key: str, rank: Rank, patience: float, tokens: int, leaves: float
        ) -> None:
            await asyncio.sleep(at)
            try:
                async with asyncio.timeout(None if leaves == math.inf else leaves):
                    if await stage.ask(flow, key, rank, patience, tokens):
                        taken.append((now(), tokens))
            except TooBusyError:
                assert now() - stage.began - at <= patience + 0.01
            except TimeoutError:
                pass

        await asyncio.gather(*(ask(*it) for it in asks))
        # Nobody waits for longer than all tokens take, and all that is asked for is granted.
        assert now() - stage.began <= 10 + sum(it[5] for it in asks) / PER_S + 0.1

    staged(story)

    for index, (begins, _) in enumerate(taken):
        for end in range(index, len(taken)):
            tokens = sum(it for _, it in taken[index : end + 1])
            assert tokens <= BURST + PER_S * (taken[end][0] - begins) + 1e-3
