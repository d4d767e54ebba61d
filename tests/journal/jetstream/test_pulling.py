"""Pulling, by what servers say: a consumer that not all of them know yet is asked again."""

import asyncio
from typing import Any

import pytest

from gateway.journal.jetstream.errors import BrokerError
from gateway.journal.jetstream.messages import Inbox, Message, Receiver
from gateway.journal.jetstream.pulling import Pull

_NOBODY = Message(b"", {"Status": "503"}, "")
_HOLDS = Message(b"", {"Status": "100", "Description": "Idle Heartbeat"}, "")


def _event(number: int) -> Message:
    return Message(b"event", {}, f"$JS.ACK.S.c.1.{number}.{number}.0.0", f"S.{number}")


class Servers:
    """A broker that says something for each time that it is asked for messages."""

    stream = "S"

    def __init__(self, *said: tuple[Message, ...]) -> None:
        self.asked = 0
        self._said = list(said)
        self._receiver: Receiver | None = None

    async def subscribe(self, receiver: Receiver) -> Inbox:
        self._receiver = receiver
        subscription: Any = None
        return Inbox("inbox", subscription, lambda: None)

    async def create_consumer(self, name: str, config: Any) -> None:
        """Know it."""

    async def publish(self, *_: Any, **__: Any) -> None:
        self.asked += 1
        assert self._receiver is not None
        for it in self._said.pop(0) if self._said else ():
            self._receiver(it)


async def _next(servers: Any) -> list[int]:
    pull = await Pull.begin(servers, servers, 0)
    return [it.sequence for it in await pull.next(5.0)]


def test_a_consumer_that_is_not_known_everywhere_yet_is_asked_again() -> None:
    servers = Servers((_NOBODY,), (_NOBODY,), (_event(1), _event(2)))

    assert asyncio.run(_next(servers)) == [1, 2]
    assert servers.asked == 4  # the last time for what follows


@pytest.mark.parametrize("before", [(_HOLDS,), (_event(1),)])
def test_one_that_was_known_and_is_gone_is_a_failure(before: tuple[Message, ...]) -> None:
    servers = Servers((*before, _NOBODY))

    with pytest.raises(BrokerError, match="503"):
        asyncio.run(_next(servers))


def test_one_that_nobody_ever_knows_is_a_failure_in_time() -> None:
    with pytest.raises(BrokerError, match="503"):
        asyncio.run(_next(Servers(*[(_NOBODY,)] * 100)))
