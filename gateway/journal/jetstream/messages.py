"""Messages of the broker: what has come, and where it comes in."""

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError


class Message(NamedTuple):
    """What has come: its bytes, its headers, where a response would go, and on which subject."""

    data: bytes
    headers: Mapping[str, str]
    reply: str
    subject: str = ""


Receiver: TypeAlias = Callable[[Message], None]


class Heard(NamedTuple):
    """A subject that is heard for as long as there is a gateway."""

    subject: str
    receiver: Receiver
    waiting_max: int
    waiting_bytes_max: int

    async def subscribe(self, client: Client) -> None:
        """Hear it on a connection. Raises NatsError and OSError."""
        await client.subscribe(
            self.subject,
            cb=self._received,
            pending_msgs_limit=self.waiting_max,
            pending_bytes_limit=self.waiting_bytes_max,
        )

    async def _received(self, message: Msg) -> None:
        self.receiver(message_of(message))


class Inbox(NamedTuple):
    """Where messages of a subscription come in. `forgotten` is called when it is closed."""

    subject: str
    subscription: Subscription
    forgotten: Callable[[], object]

    async def close(self) -> None:
        """Take no more."""
        self.forgotten()
        with contextlib.suppress(NatsError, OSError):
            await self.subscription.unsubscribe()


def message_of(message: Msg) -> Message:
    """Return what the client library has received."""
    return Message(message.data, message.headers or {}, message.reply, message.subject)
