"""Checkpoints: small values by name that are there for whoever starts next."""

import asyncio

from gateway.journal.retention import Retention
from tests.contract.check import check
from tests.contract.samples import events
from tests.contract.under_test import LogUnderTest


@check
async def a_name_without_a_value_has_none(log: LogUnderTest) -> None:
    await log.checkpoints.set("name", b"value")

    for name in ("other", "nam", "name1", "Name"):
        assert await log.checkpoints.get(name) is None


@check
async def the_last_value_holds(log: LogUnderTest) -> None:
    for value in (b"1", b"two", b"", b"3"):
        await log.checkpoints.set("name", value)
        assert await log.checkpoints.get("name") == value


@check
async def values_are_any_bytes(log: LogUnderTest) -> None:
    values = [b"", b"\0", b"\xff\xfe", bytes(range(256)), b"'; --", bytes(10_000)]
    for number, value in enumerate(values):
        await log.checkpoints.set(f"name-{number}", value)

    await log.reopen()

    for number, value in enumerate(values):
        assert await log.checkpoints.get(f"name-{number}") == value


@check
async def many_names_keep_their_values_apart(log: LogUnderTest) -> None:
    names = [f"consumer.{number}" for number in range(100)]
    names += ["a", "A", "a.b", "a/b", "a b", "a_b", "a-b", "*", "é", "epoch", "n" * 200]
    await asyncio.gather(*[log.checkpoints.set(it, it.encode()) for it in names])
    await log.checkpoints.set("a.b", b"another")

    values = {it: await log.checkpoints.get(it) for it in names}
    assert values == {it: it.encode() for it in names} | {"a.b": b"another"}


@check
async def values_outlive_the_process(log: LogUnderTest) -> None:
    await log.checkpoints.set("a", b"1")
    await log.checkpoints.set("b", b"1")
    await log.reopen()
    await log.checkpoints.set("b", b"2")
    await log.reopen()

    assert await log.checkpoints.get("a") == b"1"
    assert await log.checkpoints.get("b") == b"2"


@check
async def retention_leaves_values_alone(log: LogUnderTest) -> None:
    await log.checkpoints.set("name", b"value")
    await log.append(*events(5))

    assert await log.prune(Retention(60, 2**40), now=4e9) == 5

    assert await log.checkpoints.get("name") == b"value"
