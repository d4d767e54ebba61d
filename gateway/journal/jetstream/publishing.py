"""Publishing: events into the stream, each id once, one by one or many in one.

The first message of a subject is taken, and a further one is refused for as long as the first is
held: that is what `Nats-Expected-Last-Subject-Sequence: 0` asks for. Many messages can be one
batch, all or none of which are stored, with one sync (ADR-50 of nats-architecture-and-design).
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from gateway.journal.events import Appended
from gateway.journal.jetstream.api import JetStreamApi, Json, result_of
from gateway.journal.jetstream.broker import RESPONSE_S, Broker
from gateway.journal.jetstream.errors import BrokerError, NotTakenError, RefusedError
from gateway.journal.jetstream.wire import packed

_FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}

# The subject has a message already, and the text says which; or another one for the subject is on
# its way, and whether that is stored is not known yet (server/errors.json of nats-server).
_HELD = 10071
_UNDER_WAY = 10164

# Of a batch the first messages have come to nothing: the server did not know of the stream yet.
_INCOMPLETE = 10176

_HELD_NUMBER = re.compile(r": (\d+)$")

# Until what is on its way is stored, or somebody takes what is sent: the first pause, in seconds;
# each is twice the one before.
_PAUSE_S = 0.002

# How many such pauses there are while nobody takes what is sent: a second in all. A server knows of
# a stream that another has just made, or of its new leader, some milliseconds after them, and what
# nobody takes is not stored. An election takes longer: the provider sends again what fails then.
NOT_TAKEN_PAUSES = 9

_Sent = TypeVar("_Sent")


class Outgoing(NamedTuple):
    """An event as it is sent."""

    subject: str
    data: bytes


class Publishing:
    """Sends to one stream. `sleep` waits so many seconds."""

    def __init__(
        self,
        broker: Broker,
        api: JetStreamApi,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._broker = broker
        self._api = api
        self._sleep = sleep
        # Whether somebody took the last one: after a second in vain, the next is tried only once.
        self._is_taken = True

    async def one(self, event: Outgoing) -> Appended:
        """Store an event. Raises BrokerError, when it may have been stored, and RefusedError."""
        pause_s = _PAUSE_S
        while True:
            try:
                found = await self._until_taken(lambda: self._sent(event, _FIRST))
                return Appended(int(found["seq"]), duplicate=False)
            except RefusedError as error:
                if error.code == _HELD:
                    return Appended(await self._held(event, error), duplicate=True)
                if error.code != _UNDER_WAY:
                    raise
            if pause_s > RESPONSE_S:
                raise BrokerError("the same event has been on its way for long")
            await self._sleep(pause_s)
            pause_s *= 2

    async def many(self, events: Sequence[Outgoing]) -> Sequence[Appended] | None:
        """Store all of some events; None if none is stored, since one of them is held already.

        Raises BrokerError, when all may have been stored, and RefusedError.
        """
        return await self._until_taken(lambda: self._batch(events))

    async def _batch(self, events: Sequence[Outgoing]) -> Sequence[Appended] | None:
        batch = {**_FIRST, "Nats-Batch-Id": secrets.token_hex(8)}
        await self._broker.publish_all(
            packed(it.subject, it.data, {**batch, "Nats-Batch-Sequence": str(number)})
            for number, it in enumerate(events[:-1], 1)
        )
        last = {**batch, "Nats-Batch-Sequence": str(len(events)), "Nats-Batch-Commit": "1"}
        try:
            found = await self._sent(events[-1], last)
        except RefusedError as error:
            if error.code in (_HELD, _UNDER_WAY, _INCOMPLETE):
                return None
            raise
        if found.get("count") != len(events):
            raise BrokerError(f"the broker has stored {found.get('count')} of {len(events)} events")
        newest = int(found["seq"])
        return [Appended(it, False) for it in range(newest - len(events) + 1, newest + 1)]

    async def _until_taken(self, send: Callable[[], Awaitable[_Sent]]) -> _Sent:
        """Send until somebody takes it, and not for long. Raises what `send` does."""
        pauses = NOT_TAKEN_PAUSES if self._is_taken else 0
        for pause in range(pauses):
            try:
                return await send()
            except NotTakenError:
                await self._sleep(_PAUSE_S * 2**pause)
        self._is_taken = False
        sent = await send()
        self._is_taken = True
        return sent

    async def _sent(self, event: Outgoing, headers: dict[str, str]) -> Json:
        response = await self._broker.request(event.subject, event.data, headers)
        return result_of(response.data)

    async def _held(self, event: Outgoing, error: RefusedError) -> int:
        """Return the number of the event that is held."""
        if told := _HELD_NUMBER.search(error.description):
            return int(told[1])
        found = await self._api.message(last_by_subj=event.subject)
        if found is None:
            raise error
        return found.sequence
