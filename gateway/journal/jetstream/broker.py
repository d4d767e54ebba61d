"""The connection to the broker: it comes back by itself, and nothing is kept for when it does.

What is asked while it is away fails at once, and what was under way when it went fails then: nobody
waits for a time-out to learn what is known.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.errors import BrokerError, LostError

# How long the broker may take to respond, in seconds: it has then stored what it was given, or
# nobody knows.
RESPONSE_S = 5.0

# How often a question is sent again while nobody responds, in seconds. What is asked while servers
# elect a leader, which takes them four to nine, never gets a response.
ASK_AGAIN_S = 0.5

# How long the first connection may take, in seconds.
CONNECT_S = 10.0

# How often a lost connection is tried for again, in seconds: a gateway that is refused must not
# keep a server busy.
_AGAIN_S = 0.25

# A broker that is there and does nothing (a machine that hangs, a network that swallows) is found
# out by this: so many pings without a response, so many seconds apart.
_PING_S = 2
_PINGS_MAX = 2

# What a broker says when nobody has taken a request, such as a stream without a leader.
_NOBODY = "503"

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """What has come: its bytes, its headers, where a response would go, and on which subject."""

    data: bytes
    headers: Mapping[str, str]
    reply: str
    subject: str = ""


Receiver: TypeAlias = Callable[[Message], None]


class _Heard(NamedTuple):
    """A subject that is heard for as long as there is a gateway."""

    subject: str
    receiver: Receiver
    waiting_max: int
    waiting_bytes_max: int

    async def subscribe(self, client: Client) -> None:
        await client.subscribe(
            self.subject,
            cb=self._received,
            pending_msgs_limit=self.waiting_max,
            pending_bytes_limit=self.waiting_bytes_max,
        )

    async def _received(self, message: Msg) -> None:
        self.receiver(_message_of(message))


class _TlsClient(Client):
    """A client that says nothing to a server in clear.

    The library's own connects in clear to a server that does not ask for TLS, whatever the scheme
    of its address, and shows it all credentials. Here they are made up, once it is known.
    """

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise NatsError("the server does not ask for TLS, without which nothing is sent to it")
        return super()._connect_command()


class Broker:
    """A connection. Use `connect`."""

    def __init__(self, place: StreamPlace, access: Access) -> None:
        self._place = place
        self._access = access
        self._client = Client()
        self._closing = False
        self._again: asyncio.Task[None] | None = None
        self._prefix = ""
        self._tokens = itertools.count()
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._error: str | None = None
        self._lost: list[Callable[[], None]] = []
        self._heard: list[_Heard] = []

    @classmethod
    async def connect(cls, place: StreamPlace, access: Access) -> "Broker":
        """Connect. Raises LogOpenError if that does not succeed in time."""
        broker = cls(place, access)
        try:
            async with asyncio.timeout(CONNECT_S):
                await broker._connect()
        except TimeoutError:
            await broker.close()
            why = f" ({broker._error})" if broker._error else ""
            raise LogOpenError(
                f"cannot open the event log {place}: no connection within {CONNECT_S:.0f} s{why}."
                " Check that a server runs there and takes what the gateway shows it"
            ) from None
        except BaseException:
            await broker.close()
            raise
        return broker

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return self._client.is_connected

    @property
    def problem(self) -> str | None:
        """Why nothing can be asked now, None while something can."""
        if self.is_connected:
            return None
        why = f" ({self._error})" if self._error else ""
        return f"there is no connection to {self._place.scheme}://{self._servers}{why}"

    @property
    def payload_max(self) -> int:
        """How large a message may be, in bytes, as the server says."""
        return self._client.max_payload

    @property
    def server(self) -> dict[str, Any]:
        """What the server says of itself (docs.nats.io, "NATS protocol", INFO)."""
        return self._client._server_info

    def when_lost(self, told: Callable[[], None]) -> None:
        """Have somebody called whenever the connection is lost."""
        self._lost.append(told)

    async def request(
        self,
        subject: str,
        data: bytes = b"",
        headers: dict[str, str] | None = None,
        timeout_s: float = RESPONSE_S,
        again_s: float | None = None,
    ) -> Message:
        """Send a message and return the response to it. Raises BrokerError.

        Where nothing comes of sending it twice, it is sent again every `again_s` seconds.
        """
        token = str(next(self._tokens))
        response: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[token] = response
        try:
            async with asyncio.timeout(timeout_s):
                while not response.done():
                    await self.publish(subject, data, headers, f"{self._prefix}.{token}")
                    await asyncio.wait([response], timeout=again_s)
                found = await response
        except TimeoutError:
            raise BrokerError(f"{self._servers} did not respond within {timeout_s:g} s") from None
        finally:
            self._asked.pop(token, None)
        if found.headers.get("Status") == _NOBODY:
            raise BrokerError(f"nobody at {self._servers} takes {subject}: the stream is not there")
        return found

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None = None,
        reply: str = "",
    ) -> None:
        """Send a message. Raises BrokerError."""
        if (problem := self.problem) is not None:
            raise LostError(problem)
        try:
            await self._client.publish(subject, data, reply, headers)
        except MaxPayloadError:
            raise BrokerError(
                f"a message of {len(data)} bytes is larger than {self._servers} takes"
                f" ({self.payload_max}): raise its max_payload"
            ) from None
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {_words(error)}") from error

    async def subscribe(self, receiver: Receiver) -> "Inbox":
        """Return an inbox whose messages go to `receiver`, for as long as the connection stays.

        Raises BrokerError.
        """

        async def received(message: Msg) -> None:
            receiver(_message_of(message))

        if (problem := self.problem) is not None:
            raise LostError(problem)
        subject = self._client.new_inbox()
        try:
            return Inbox(subject, await self._client.subscribe(subject, cb=received))
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {_words(error)}") from error

    async def hear(
        self, subject: str, receiver: Receiver, waiting_max: int, waiting_bytes_max: int
    ) -> None:
        """Have what comes on a subject go to `receiver`, however often the connection comes back.

        So much of it may wait, and more is dropped. Raises BrokerError.
        """
        heard = _Heard(subject, receiver, waiting_max, waiting_bytes_max)
        try:
            await heard.subscribe(self._client)
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {_words(error)}") from error
        self._heard.append(heard)

    async def close(self) -> None:
        """End the connection."""
        self._closing = True
        if self._again is not None:
            self._again.cancel()
        self._fail("the event log is closed")
        with contextlib.suppress(NatsError, OSError):
            await self._client.close()

    @property
    def _servers(self) -> str:
        return ",".join(self._place.servers)

    async def _connect(self) -> None:
        in_tls = self._place.is_tls or self._access.tls is not None
        self._client = client = _TlsClient() if in_tls else Client()
        await client.connect(
            [f"{self._place.scheme}://{it}" for it in self._place.servers],
            name="telnyx-gateway",
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            closed_cb=self._on_closed,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_AGAIN_S,  # type: ignore[arg-type]
            ping_interval=_PING_S,
            max_outstanding_pings=_PINGS_MAX,
            **self._shown(),
        )
        self._prefix = client.new_inbox()
        await client.subscribe(f"{self._prefix}.*", cb=self._responded)
        for heard in self._heard:
            await heard.subscribe(client)
        self._error = None

    def _shown(self) -> dict[str, Any]:
        access, login = self._access, self._access.login
        if (access.creds or access.nkey) and find_spec("nkeys") is None:
            raise LogOpenError(
                "an NKEY or a JWT for NATS needs a package that is not installed:"
                " pip install 'telnyx-grpc-gateway[nkeys]'"
            )
        shown: dict[str, Any] = {
            "user": None if login is None else lambda: login().partition(":")[0],
            "password": None if login is None else lambda: login().partition(":")[2],
            "token": access.token,
            "user_credentials": None if access.creds is None else str(access.creds),
            "nkeys_seed": None if access.nkey is None else str(access.nkey),
            "tls": None if access.tls is None else access.tls.context(),
        }
        return {name: value for name, value in shown.items() if value is not None}

    async def _responded(self, message: Msg) -> None:
        response = self._asked.get(message.subject.rpartition(".")[2])
        if response is not None and not response.done():
            response.set_result(_message_of(message))

    async def _on_error(self, error: Exception) -> None:
        # A server that lets nobody in says so, and then cuts the connection off.
        if self._error is None or not isinstance(error, ConnectionResetError):
            self._error = _words(error)
        _log.debug("%s: %s", self._servers, _words(error))

    async def _on_lost(self) -> None:
        self._fail(f"the connection to {self._servers} was lost")
        for told in self._lost:
            told()

    async def _on_closed(self) -> None:
        """Begin anew where the client gives up, as it does when it is not let in any more."""
        if self._closing or self._again is not None:
            return
        await self._on_lost()
        self._again = asyncio.create_task(self._connect_again())

    async def _connect_again(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._connect()
            except (NatsError, OSError, TimeoutError, LogOpenError, BrokerError) as error:
                self._error = _words(error)
            else:
                self._again = None
                return

    def _fail(self, why: str) -> None:
        for response in self._asked.values():
            if not response.done():
                response.set_exception(LostError(why))


class Inbox(NamedTuple):
    """Where messages of a subscription come in."""

    subject: str
    subscription: Subscription

    async def close(self) -> None:
        """Take no more."""
        with contextlib.suppress(NatsError, OSError):
            await self.subscription.unsubscribe()


def _message_of(message: Msg) -> Message:
    return Message(message.data, message.headers or {}, message.reply, message.subject)


def _words(error: BaseException) -> str:
    """Return what an error says. It never has credentials: the client's texts have none."""
    return str(error) or type(error).__name__
