"""Broadcast: what the gateways on one log tell each other. Alone, nobody hears anything."""

import asyncio
from collections.abc import Sequence

from gateway.journal.ports import EventLog
from tests.contract.check import check
from tests.contract.under_test import LogUnderTest

# How often somebody is called who does not hear yet, in seconds.
_AGAIN_S = 0.02

_LAST = b"last"


class _Gateway:
    """A gateway on the log, and what it has heard."""

    def __init__(self, log: EventLog) -> None:
        self.broadcast = log.broadcast
        self.heard: list[bytes] = []
        self._news = asyncio.Event()
        log.broadcast.listen(self._hear)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.broadcast.send(message)

    def _hear(self, message: bytes) -> None:
        self.heard.append(message)
        self._news.set()

    async def until_heard(self, message: bytes, times: int = 1) -> list[bytes]:
        """Return what has been heard, once a message was."""
        while self.heard.count(message) < times:
            self._news.clear()
            await self._news.wait()
        return list(self.heard)


async def _gateways(log: LogUnderTest, count: int) -> Sequence[_Gateway]:
    """Return gateways that hear each other, as they do some time after they have been opened."""
    found = [_Gateway(it) for it in await log.gateways(count)]
    for one in found:
        others = [it for it in found if it is not one]
        while any(_from(one) not in it.heard for it in others):
            one.send(_from(one))
            await asyncio.sleep(_AGAIN_S)
    # What was sent more than once has come when this has.
    for one in found:
        one.send(_LAST)
    for one in found:
        await one.until_heard(_LAST, len(found) - 1)
    for one in found:
        one.heard.clear()
    return found


def _from(one: _Gateway) -> bytes:
    return b"from %d" % id(one)


@check
async def all_others_hear_what_one_sends_and_it_does_not_itself(log: LogUnderTest) -> None:
    first, *others = await _gateways(log, 3)

    first.send(b"a", b"b")
    for other in others:
        assert await other.until_heard(b"b") == [b"a", b"b"]
    for other in others:
        other.send(b"c")

    assert await first.until_heard(b"c", len(others)) == [b"c"] * len(others)
    for other in others:
        rest = [b"c"] * (len(others) - 1)
        assert await other.until_heard(b"c", len(rest)) == [b"a", b"b", *rest]


@check
async def a_burst_is_heard_in_its_order(log: LogUnderTest) -> None:
    first, *others = await _gateways(log, 2)
    sent = [b"%d" % number for number in range(500)]

    first.send(*sent)

    for other in others:
        assert await other.until_heard(sent[-1]) == sent
    assert first.broadcast.dropped == 0


@check
async def a_message_is_any_bytes(log: LogUnderTest) -> None:
    first, *others = await _gateways(log, 2)
    sent = [b"", b"\0", b"\r\n", b"MSG a 1 1\r\n", bytes(range(256)), bytes(2**17), b"end"]

    first.send(*sent)

    for other in others:
        assert await other.until_heard(b"end") == sent


@check
async def all_who_listen_are_told(log: LogUnderTest) -> None:
    first, *others = await _gateways(log, 2)
    more: list[bytes] = []
    for gateway in (await log.gateways(2))[1:]:
        gateway.broadcast.listen(more.append)

    first.send(b"a")

    for other in others:
        await other.until_heard(b"a")
    await asyncio.sleep(0)
    assert more == [b"a"] * len(others)


@check
async def sending_fails_for_nobody(log: LogUnderTest) -> None:
    gateways = await _gateways(log, 2)
    opened = await log.gateways(2)
    await log.close()

    for one in opened:
        one.broadcast.send(b"after the end")

    assert [it.heard for it in gateways] == [[] for _ in gateways]
