"""Checkpoints: small values by name that are there for whoever starts next."""

import asyncio

import pytest

from gateway.journal.errors import OutdatedError
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


@check
async def a_value_is_replaced_that_is_as_it_was_read(log: LogUnderTest) -> None:
    first = await log.checkpoints.read("name")
    assert first.value is None
    revision = await log.checkpoints.replace("name", b"1", first.revision)

    assert await log.checkpoints.read("name") == (b"1", revision)
    await log.checkpoints.replace("name", b"2", revision)
    assert await log.checkpoints.get("name") == b"2"
    await log.checkpoints.set("name", b"3")
    await log.reopen()
    found = await log.checkpoints.read("name")
    assert found.value == b"3"
    await log.checkpoints.replace("name", b"4", found.revision)
    assert await log.checkpoints.get("name") == b"4"


@check
async def a_value_that_was_set_meanwhile_is_not_replaced(log: LogUnderTest) -> None:
    never_set = await log.checkpoints.read("name")
    for value in (b"1", b"1", b""):
        before = await log.checkpoints.read("name")
        await log.checkpoints.set("other", b"any")
        # By whichever gateway, and to whatever.
        await (await log.gateways(2))[-1].checkpoints.set("name", value)
        for outdated in (before, never_set):
            with pytest.raises(OutdatedError):
                await log.checkpoints.replace("name", b"late", outdated.revision)
        assert await log.checkpoints.get("name") == value


@check
async def of_those_who_replace_a_value_at_once_one_does(log: LogUnderTest) -> None:
    gateways = await log.gateways(2)
    await log.checkpoints.set("name", b"before")
    revision = (await log.checkpoints.read("name")).revision

    async def replace(number: int) -> bytes | None:
        value = b"%d" % number
        try:
            checkpoints = gateways[number % len(gateways)].checkpoints
            await checkpoints.replace("name", value, revision)
        except OutdatedError:
            return None
        return value

    done = await asyncio.gather(*map(replace, range(10)))

    kept = [it for it in done if it is not None]
    assert kept == [await log.checkpoints.get("name")]
