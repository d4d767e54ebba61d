"""A fair queue in front of a token bucket: who may go next, and who would wait too long.

Whoever waits belongs to a flow, and flows have their turns one after the other: one that asks for a
thousand things makes the others wait for one of them. What several ask for (it has the same key) is
granted once, to one of them, and the others learn that they need not ask any more.
"""

import asyncio
import enum
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from gateway.conference.errors import TooBusyError
from gateway.tokenbucket import TokenBucket

# One turn in so many is left to those who wait at the back: those before them never make them wait
# for ever. They are late then, and the others a tenth slower.
TURN_OF_THE_LAST = 10

# The shortest wait for tokens, in seconds: clocks are not exact.
_WAIT_MIN_S = 0.001


class Rank(enum.IntEnum):
    """Who goes before whom."""

    # What has begun is brought to its end.
    BEGUN = 0
    # Somebody waits for it.
    PROMPT = 1
    # It is as good a little later.
    WHENEVER = 2


class Ask(NamedTuple):
    """What somebody waits for: so many tokens, for how many seconds at the most."""

    flow: Hashable
    key: Hashable
    tokens: int
    rank: Rank
    patience_s: float = math.inf


class _Waiter:
    """Somebody who waits: `turn` becomes true, or false if another has gone for the same."""

    __slots__ = ("ask", "turn")

    def __init__(self, ask: Ask, turn: asyncio.Future[bool]) -> None:
        self.ask = ask
        self.turn = turn


# Ordered by when they came; both ends are cheap to take from, whatever was taken before.
_Waiters = OrderedDict[_Waiter, None]
_Flow = OrderedDict[Hashable, _Waiters]


class _Line:
    """Those of one rank, by flow and by key. The flow whose turn is next is the first."""

    def __init__(self) -> None:
        self._flows: OrderedDict[Hashable, _Flow] = OrderedDict()
        # How many keys wait, one that waits in two flows twice.
        self.keys = 0

    def add(self, waiter: _Waiter) -> None:
        flow = self._flows.setdefault(waiter.ask.flow, OrderedDict())
        waiters = flow.get(waiter.ask.key)
        if waiters is None:
            waiters = flow[waiter.ask.key] = OrderedDict()
            self.keys += 1
        waiters[waiter] = None

    def remove(self, waiter: _Waiter) -> None:
        flow = self._flows[waiter.ask.flow]
        waiters = flow[waiter.ask.key]
        del waiters[waiter]
        if not waiters:
            del flow[waiter.ask.key]
            self.keys -= 1
            if not flow:
                del self._flows[waiter.ask.flow]

    def first(self) -> _Waiter:
        return next(iter(next(iter(next(iter(self._flows.values())).values()))))

    def next_round(self, flow: Hashable) -> None:
        """Have a flow's next turn come after those of all others."""
        if flow in self._flows:
            self._flows.move_to_end(flow)

    def ahead_of(self, ask: Ask) -> Iterator[int]:
        """Return how many keys have their turns before a new one, flow by flow."""
        own: _Flow = self._flows.get(ask.flow) or OrderedDict()
        if ask.key in own:
            return
        yield len(own)
        for flow, keys in self._flows.items():
            if flow != ask.flow:
                yield min(len(keys), len(own) + 1)


class FairQueue:
    """Grants turns as the tokens of a bucket allow, in a fair order.

    `refused` counts those who would have waited too long. At most as many wait as ask: each asks
    for one thing at a time.
    """

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._lines = {rank: _Line() for rank in Rank}
        self._by_key: dict[Hashable, _Waiters] = {}
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None
        self.refused = 0

    def waiting(self, rank: Rank) -> int:
        """How many things of a rank are waited for."""
        return self._lines[rank].keys

    async def turn(self, ask: Ask) -> bool:
        """Return true when it is its turn, false if another one has gone for the same meanwhile.

        Raises TooBusyError, at once where that is certain.
        """
        if not self._by_key and self._bucket.try_take(ask.tokens):
            return True
        if ask.patience_s < math.inf and (wait_s := self._wait_s(ask)) > ask.patience_s:
            self.refused += 1
            raise TooBusyError(f"a response would take at least {wait_s:.0f} s")
        loop = asyncio.get_running_loop()
        waiter = _Waiter(ask, loop.create_future())
        self._lines[ask.rank].add(waiter)
        self._by_key.setdefault(ask.key, OrderedDict())[waiter] = None
        expiry: asyncio.TimerHandle | None = None
        if ask.patience_s < math.inf:
            # It was an estimate: others may have come since.
            expiry = loop.call_later(ask.patience_s, self._expire, waiter)
        self._grant()
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            turn = waiter.turn
            if not turn.cancelled() and turn.exception() is None and turn.result():
                # It was granted in the moment the wait was cancelled.
                self._bucket.give_back(ask.tokens)
            self._forget(waiter)
            self._grant()
            raise
        finally:
            if expiry is not None:
                expiry.cancel()

    def spend(self, tokens: int) -> None:
        """Take tokens for what was done without a turn: the next one comes later for it."""
        self._bucket.spend(tokens)

    def close(self) -> None:
        """Grant no more turns by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait_s(self, ask: Ask) -> float:
        """Return in how many seconds a turn will come, if nobody else comes.

        That is more than its patience if it is too late, and perhaps less than the truth then.
        """
        keys = 1 + sum(line.keys for rank, line in self._lines.items() if rank < ask.rank)
        each = float(ask.tokens)
        if ask.rank is not Rank.WHENEVER and self._lines[Rank.WHENEVER].keys:
            each *= TURN_OF_THE_LAST / (TURN_OF_THE_LAST - 1)
        most = self._bucket.within(ask.patience_s) / each
        for ahead in self._lines[ask.rank].ahead_of(ask):
            keys += ahead
            if keys > most:
                break
        return self._bucket.wait_s(keys * each)

    def _next(self) -> _Waiter | None:
        last = self._lines[Rank.WHENEVER]
        if last.keys and self._turns % TURN_OF_THE_LAST == TURN_OF_THE_LAST - 1:
            return last.first()
        return next((line.first() for line in self._lines.values() if line.keys), None)

    def _grant(self) -> None:
        """Grant all turns that there are tokens for, and come back when there are more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (waiter := self._next()) is not None:
            ask = waiter.ask
            if waiter.turn.done():  # cancelled in this very moment
                self._forget(waiter)
                continue
            if not self._bucket.try_take(ask.tokens):
                wait_s = max(self._bucket.wait_s(ask.tokens), _WAIT_MIN_S)
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._grant)
                return
            self._turns += 1
            # It first, so that it begins before the others look for what it has begun.
            self._settle(waiter, turn=True)
            for other in tuple(self._by_key.get(ask.key, ())):
                self._settle(other, turn=False)
            self._lines[ask.rank].next_round(ask.flow)

    def _settle(self, waiter: _Waiter, *, turn: bool) -> None:
        self._forget(waiter)
        if not waiter.turn.done():
            waiter.turn.set_result(turn)

    def _forget(self, waiter: _Waiter) -> None:
        same = self._by_key.get(waiter.ask.key)
        if same is None or waiter not in same:
            return
        self._lines[waiter.ask.rank].remove(waiter)
        del same[waiter]
        if not same:
            del self._by_key[waiter.ask.key]

    def _expire(self, waiter: _Waiter) -> None:
        if not waiter.turn.done():
            self._forget(waiter)
            self.refused += 1
            text = f"no response came within {waiter.ask.patience_s:.0f} s"
            waiter.turn.set_exception(TooBusyError(text))
