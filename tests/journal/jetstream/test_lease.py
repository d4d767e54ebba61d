"""The lease over time: who has it when its holder dies, is held up, or cannot reach the broker.

The broker's bucket is made small, and the time is the test's. Each gateway has a clock of its own,
which shows any time, and may run fast or slow.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import LogUnavailableError, OutdatedError
from gateway.journal.jetstream.lease import JetStreamLease, Term
from gateway.journal.leasing import LeaseLostError
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

TERM = Term()
# What is promised: so long after a holder has died, another has it, in seconds.
TERM_S = 15.0

# Longer than anything takes, in seconds that are none.
_PATIENCE_S = 1_000.0


class Keys:
    """A bucket that several gateways reach, but for those that are cut off."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.revision = 0
        self.takes_s = self.read_takes_s = 0.05

    async def read(self, key: str) -> Checkpoint:
        await asyncio.sleep(self.read_takes_s)
        return Checkpoint(self.value, self.revision)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        await asyncio.sleep(self.takes_s)
        if revision != self.revision:
            raise OutdatedError(key)
        self.value = value
        self.revision += 7
        return self.revision


class Gateway:
    """A gateway, its way to the bucket, and its clock. `work` counts by twenty times a second."""

    def __init__(self, keys: Keys, name: str, *, shows: float = 0.0, speed: float = 1.0) -> None:
        self._keys = keys
        self.shows, self.speed = shows, speed
        self.is_cut_off = False
        # Whether what it writes is stored, and the response lost.
        self.loses_responses = False
        # Whether its work asks before each step.
        self.asks = True
        self.writes = 0
        self.began_at = virtual_now()
        self.lease = JetStreamLease(self, "chores", name, TERM, self.now)
        # When it worked, in real time.
        self.worked_at: list[float] = []
        self.begun = 0
        self.is_held_up = asyncio.Event()
        self.is_held_up.set()
        self.holding = asyncio.ensure_future(self.lease.hold(self._work))

    def now(self) -> float:
        return self.shows + virtual_now() * self.speed

    async def read(self, key: str) -> Checkpoint:
        await self._get_through()
        return await self._keys.read(key)

    async def replace(self, key: str, value: bytes, revision: int, timeout_s: float) -> int:
        try:
            async with asyncio.timeout(timeout_s / self.speed):
                await self._get_through()
                found = await self._keys.replace(key, value, revision)
                self.writes += 1
                if self.loses_responses:
                    await asyncio.Event().wait()
        except TimeoutError:
            raise LogUnavailableError("no response") from None
        return found

    async def _get_through(self) -> None:
        await self.is_held_up.wait()
        if self.is_cut_off:
            raise LogUnavailableError("cut off")

    async def _work(self) -> None:
        self.begun += 1
        while True:
            await self.is_held_up.wait()
            if self.asks:
                self.lease.check()
            self.worked_at.append(virtual_now())
            await asyncio.sleep(0.05)

    @property
    def works(self) -> bool:
        return bool(self.worked_at) and virtual_now() - self.worked_at[-1] < 0.1

    async def die(self) -> None:
        """End without a chance to say so."""
        self.is_cut_off = True
        await self.stop()

    async def stop(self) -> None:
        self.holding.cancel()
        await asyncio.wait([self.holding])


Story = Callable[[Keys], Awaitable[None]]


def told(story: Story) -> None:
    async def run() -> None:
        await story(Keys())
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.wait([task])

    run_in_virtual_time(run())


async def until_works(gateway: Gateway) -> float:
    """Wait until a gateway works; return when that was."""
    async with asyncio.timeout(_PATIENCE_S):
        while not gateway.works:  # noqa: ASYNC110 - it is the clock that is waited for
            await asyncio.sleep(0.01)
    return virtual_now()


async def two(keys: Keys, **clock: float) -> tuple[Gateway, Gateway]:
    """Return who works, and who would like to."""
    first = Gateway(keys, "first", shows=5_000.0)
    await until_works(first)
    second = Gateway(keys, "second", **clock)
    await asyncio.sleep(3.3)
    return first, second


def never_at_once(first: Gateway, second: Gateway) -> bool:
    """Whether whoever began last did so after the other had stopped."""
    begun = second.worked_at[0]
    return all(at < begun for at in first.worked_at)


def test_a_holder_keeps_it_for_as_long_as_it_renews_it() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        await asyncio.sleep(600)
        assert first.works
        assert (first.begun, second.begun) == (1, 0)
        # No more often than it says.
        assert first.writes < 610 / TERM.renew_every

    told(story)


# The clocks of two machines, of which one runs a tenth faster or slower.
@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("after_s", [0.0, 0.9, 2.9])
def test_another_has_it_within_the_term_after_its_holder_died(speed: float, after_s: float) -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys, shows=-1e6, speed=speed)
        await asyncio.sleep(after_s)
        await first.die()
        died_at = virtual_now()

        taken_s = await until_works(second) - died_at

        assert taken_s <= TERM_S / speed
        assert never_at_once(first, second)

    told(story)


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_a_holder_that_cannot_renew_stops_before_another_begins(speed: float) -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys, speed=speed)
        first.is_cut_off = True
        cut_off_at = virtual_now()

        await until_works(second)

        assert never_at_once(first, second)
        assert TERM.held - TERM.renew_every <= first.worked_at[-1] - cut_off_at <= TERM.held
        assert not first.lease.is_held
        # And it takes its turn when it can.
        first.is_cut_off = False
        await second.stop()
        assert await until_works(first)
        assert first.begun == 2

    told(story)


def test_work_that_asks_nothing_is_ended_in_time_even_if_the_broker_hangs() -> None:
    async def story(keys: Keys) -> None:
        first, _ = await two(keys)
        first.asks = False
        first.loses_responses = True
        keys.read_takes_s = 300.0
        hung_at = virtual_now()

        await asyncio.sleep(200)

        assert first.worked_at[-1] - hung_at <= TERM.held + TERM.renew_every
        assert not first.works

    told(story)


def test_who_was_held_up_finds_out_before_it_does_more(caplog: pytest.LogCaptureFixture) -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        first.is_held_up.clear()
        held_up_at = virtual_now()
        await until_works(second)

        first.is_held_up.set()
        await asyncio.sleep(60)

        assert first.worked_at[-1] <= held_up_at
        assert second.works
        assert first.lease.holder == "second"

    with caplog.at_level(logging.INFO):
        told(story)
    assert caplog.messages.count("chores: the gateway second does it") == 1


def test_who_was_held_up_for_a_moment_goes_on() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        first.is_held_up.clear()
        await asyncio.sleep(6)
        first.is_held_up.set()
        await asyncio.sleep(60)

        assert first.works
        assert (first.begun, second.begun) == (1, 0)

    told(story)


def test_a_graceful_end_gives_it_up_at_once() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        await first.stop()
        stopped_at = virtual_now()

        assert await until_works(second) - stopped_at < 2 * TERM.look_every
        assert never_at_once(first, second)

    told(story)


def test_one_of_many_takes_it_over() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        many = [Gateway(keys, f"g{number}") for number in range(20)]
        await asyncio.sleep(2)
        await first.die()

        await asyncio.sleep(TERM_S * 4)

        assert sum(it.begun for it in many) + second.begun == 1

    told(story)


def test_a_renewal_whose_acknowledgement_is_lost_is_no_loss() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        first.loses_responses = True
        await asyncio.sleep(4)
        first.loses_responses = False
        await asyncio.sleep(120)

        assert first.works
        assert (first.begun, second.begun) == (1, 0)

    told(story)


def test_who_has_taken_it_without_being_told_so_has_it_soon() -> None:
    async def story(keys: Keys) -> None:
        gateway = Gateway(keys, "first")
        gateway.loses_responses = True
        await asyncio.sleep(1.5)
        assert gateway.writes == 1
        gateway.loses_responses = False

        assert await until_works(gateway) - gateway.began_at < 5

    told(story)


def test_a_broker_that_was_away_costs_no_more_than_the_term() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        first.is_cut_off = second.is_cut_off = True
        await asyncio.sleep(60)
        assert not any(it.works for it in (first, second))
        first.is_cut_off = second.is_cut_off = False
        await asyncio.sleep(TERM_S)

        assert sum(it.works for it in (first, second)) == 1

    told(story)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b'"first"',
        b'{"holder": 1, "untouched": 1}',
        b'{"version": 1, "holder": "x", "untouched": 1e9}',
    ],
)
def test_what_somebody_else_has_written_keeps_nobody_out_for_ever(value: bytes) -> None:
    async def story(keys: Keys) -> None:
        keys.value, keys.revision = value, 3
        gateway = Gateway(keys, "first")
        begun_at = virtual_now()
        await asyncio.sleep(5)
        assert not gateway.works, "it may be another version's"

        assert await until_works(gateway) - begun_at <= 302

    told(story)


def test_a_holder_says_for_how_long_it_is_to_be_left_alone() -> None:
    """So that gateways with other terms can be on one log, as during an upgrade."""

    async def story(keys: Keys) -> None:
        claim = {"version": 1, "holder": "newer", "untouched": 40.0}
        keys.value, keys.revision = json.dumps(claim).encode(), 3
        gateway = Gateway(keys, "first")
        begun_at = virtual_now()

        assert 40 <= await until_works(gateway) - begun_at <= 43

    told(story)


def test_changes_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        await asyncio.sleep(100)
        await first.stop()
        await until_works(second)
        caplog.set_level(logging.CRITICAL)

    with caplog.at_level(logging.INFO, "gateway.journal.jetstream.lease"):
        told(story)
    assert caplog.messages == [
        "chores: this gateway (first) does it now",
        "chores: the gateway first does it",
        "chores: this gateway does it no more",
        "chores: no gateway does it now",
        "chores: this gateway (second) does it now",
    ]


def test_work_that_does_not_hold_it_any_more_is_told_so() -> None:
    async def story(keys: Keys) -> None:
        first, second = await two(keys)
        first.lease.check()
        with pytest.raises(LeaseLostError):
            second.lease.check()
        await first.stop()
        with pytest.raises(LeaseLostError):
            first.lease.check()

    told(story)
