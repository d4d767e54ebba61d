"""Broken leases, and checkpoints that a former holder can write over."""

import asyncio
import contextlib

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.leasing import Work
from tests.contract import checkpoints, lease
from tests.contract.broken import broken
from tests.contract.memory import MemoryCheckpoints, MemoryLease


class _LetsEverybodyWork(MemoryLease):
    async def hold(self, work: Work) -> None:
        self.kept.holder = self
        await work()


class _SaysThatAllHoldIt(MemoryLease):
    @property
    def is_held(self) -> bool:
        return True


class _ChecksNothing(MemoryLease):
    def check(self) -> None:
        pass


class _TellsNobodyWhoHoldsIt(MemoryLease):
    @property
    def holder(self) -> str:
        return ""


class _GivesItUpFirst(MemoryLease):
    async def hold(self, work: Work) -> None:
        working = asyncio.ensure_future(super().hold(work))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(0.1, working.cancel)
            raise


class _BeginsAgain(MemoryLease):
    async def hold(self, work: Work) -> None:
        async def twice() -> None:
            await work()
            await work()

        await super().hold(twice)


class _SwallowsFailures(MemoryLease):
    async def hold(self, work: Work) -> None:
        with contextlib.suppress(ValueError):
            await super().hold(work)


class _ReplacesAnything(MemoryCheckpoints):
    async def replace(self, name: str, value: bytes, revision: int) -> int:
        await self.set(name, value)
        return self.kept.revisions[name]


class _ReplacesWhatWasNeverSet(MemoryCheckpoints):
    async def replace(self, name: str, value: bytes, revision: int) -> int:
        found = await self.read(name)
        return await super().replace(name, value, revision or found.revision)


class _ComparesValues(MemoryCheckpoints):
    async def set(self, name: str, value: bytes) -> None:
        if self.kept.checkpoints.get(name) != value:
            await super().set(name, value)


class _LooksBeforeItReplaces(MemoryCheckpoints):
    async def replace(self, name: str, value: bytes, revision: int) -> int:
        if (await self.read(name)).revision == revision:
            await asyncio.sleep(0)
            revision = self.kept.revisions.get(name, 0)
        return await super().replace(name, value, revision)


class _HasOneRevision(MemoryCheckpoints):
    async def read(self, name: str) -> Checkpoint:
        return (await super().read(name))._replace(revision=0)


BREAKS = (
    broken(
        "lets everybody work",
        lease.one_gateway_works_and_all_know_which,
        lease=_LetsEverybodyWork,
    ),
    broken(
        "says that all hold the lease",
        lease.one_gateway_works_and_all_know_which,
        lease=_SaysThatAllHoldIt,
    ),
    broken(
        "checks no lease",
        lease.one_gateway_works_and_all_know_which,
        lease=_ChecksNothing,
    ),
    broken(
        "tells nobody who holds the lease",
        lease.one_gateway_works_and_all_know_which,
        lease=_TellsNobodyWhoHoldsIt,
    ),
    broken(
        "gives the lease up before its work has ended",
        lease.who_gives_up_has_ended_before_another_begins,
        lease=_GivesItUpFirst,
    ),
    broken(
        "begins work again that has ended",
        lease.when_the_work_has_ended_another_has_its_turn,
        lease=_BeginsAgain,
    ),
    broken(
        "swallows the failures of work",
        lease.work_that_fails_says_so_and_lets_another_begin,
        lease=_SwallowsFailures,
    ),
    broken(
        "replaces anything",
        checkpoints.a_value_that_was_set_meanwhile_is_not_replaced,
        checkpoints.of_those_who_replace_a_value_at_once_one_does,
        checkpoints=_ReplacesAnything,
    ),
    broken(
        "takes the first revision for any",
        checkpoints.a_value_that_was_set_meanwhile_is_not_replaced,
        checkpoints=_ReplacesWhatWasNeverSet,
    ),
    broken(
        "takes the same value for the same revision",
        checkpoints.a_value_that_was_set_meanwhile_is_not_replaced,
        checkpoints=_ComparesValues,
    ),
    broken(
        "looks before it replaces",
        checkpoints.of_those_who_replace_a_value_at_once_one_does,
        checkpoints=_LooksBeforeItReplaces,
    ),
    broken(
        "has one revision",
        checkpoints.a_value_is_replaced_that_is_as_it_was_read,
        checkpoints=_HasOneRevision,
    ),
)
