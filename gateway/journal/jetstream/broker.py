"""The connection to the broker: it comes back by itself, and nothing is kept for when it does.

What is asked while it is away fails at once, and what was under way when it went fails then: nobody
waits for a time-out to learn what is known.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.credentials import TlsClient, shown_by
from gateway.journal.jetstream.errors import BrokerError, LostError, NotTakenError
from gateway.journal.jetstream.messages import Heard, Inbox, Message, Receiver
from gateway.journal.jetstream.refusals import is_refusal, words_of
from gateway.journal.jetstream.wire import Wire

# How long the broker may take to respond, in seconds: it has then stored what it was given, or
# nobody knows.
RESPONSE_S = 5.0

# How often a question is sent again while nobody responds, in seconds. What is asked while servers
# elect a leader, which takes them four to nine, never gets a response.
ASK_AGAIN_S = 0.5

# How long a connection may take to be made, in seconds.
CONNECT_S = 10.0

# And how long the first one is waited for, in seconds, before it is made while the gateway starts.
FIRST_S = 3.0

# How often a lost connection is tried for again, in seconds: a gateway that is refused must not
# keep a server busy.
_AGAIN_S = 0.25

# How long one that has not come about may take to be closed, in seconds.
_CLOSED_WITHIN_S = 1.0

# A broker that is there and does nothing (a machine that hangs, a network that swallows) is found
# out by this: so many pings without a response, so many seconds apart.
_PING_S = 2
_PINGS_MAX = 2

# What a broker says when nobody has taken a request, such as a stream without a leader.
_NOBODY = "503"

_log = logging.getLogger(__name__)


class Broker:
    """A connection. Use `connect`."""

    def __init__(self, place: StreamPlace, access: Access) -> None:
        self._place = place
        self._access = access
        self._client: Client | None = None
        self._wire: Wire | None = None
        self._closing = False
        self._again: asyncio.Task[None] | None = None
        self._prefix = ""
        self._tokens = itertools.count()
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._error: str | None = None
        # Set when a server has let nobody in, or was not trusted, or what is to be shown to it
        # cannot be used.
        self._refused = asyncio.Event()
        self._unusable: LogOpenError | None = None
        self._lost: list[Callable[[], None]] = []
        self._heard: list[Heard] = []

    @classmethod
    async def connect_now(cls, place: StreamPlace, access: Access) -> "Broker":
        """Connect, for whom nothing is to be waited for later.

        Raises LogOpenError as `connect` does, and if nobody responds in time.
        """
        broker = await cls.connect(place, access, CONNECT_S)
        if broker.is_connected:
            return broker
        await broker.close()
        why = f" ({broker._error})" if broker._error else ""
        raise LogOpenError(
            f"cannot open the event log {place}: no connection within {CONNECT_S:.0f} s{why}."
            " Check that a server runs there and takes what the gateway shows it"
        )

    @classmethod
    async def connect(
        cls, place: StreamPlace, access: Access, within_s: float = FIRST_S
    ) -> "Broker":
        """Connect, now or, where nobody responds, as soon as somebody does.

        It waits `within_s` seconds for that. Raises LogOpenError if a server lets nobody in with
        what it is shown, or cannot be trusted.
        """
        broker = cls(place, access)
        try:
            broker._again = connecting = asyncio.create_task(broker._connect_again())
            refused = asyncio.create_task(broker._refused.wait())
            await asyncio.wait(
                {connecting, refused}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
            refused.cancel()
            if broker._unusable is not None:
                raise broker._unusable
            if broker._refused.is_set():
                raise LogOpenError(
                    f"cannot open the event log {place}: {broker._error}. Check that the server"
                    " takes what the gateway shows it, and that the gateway trusts the server"
                )
        except BaseException:
            await broker.close()
            raise
        return broker

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return self._client is not None and self._client.is_connected

    @property
    def problem(self) -> str | None:
        """Why nothing can be asked now, None while something can."""
        if self.is_connected:
            return None
        why = f" ({self._error})" if self._error else ""
        return f"there is no connection to {self._place.scheme}://{self._servers}{why}"

    @property
    def payload_max(self) -> int:
        """How large a message may be, in bytes, as the server has said; 0 before it has."""
        return 0 if self._client is None else self._client.max_payload

    @property
    def server(self) -> dict[str, Any]:
        """What the server says of itself (docs.nats.io, "NATS protocol", INFO)."""
        return {} if self._client is None else self._client._server_info

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
                await self.publish(subject, data, headers, f"{self._prefix}.{token}")
                while again_s is not None and not response.done():
                    await asyncio.wait([response], timeout=again_s)
                    if not response.done():
                        await self.publish(subject, data, headers, f"{self._prefix}.{token}")
                found = await response
        except TimeoutError:
            raise BrokerError(f"{self._servers} did not respond within {timeout_s:g} s") from None
        finally:
            self._asked.pop(token, None)
        if found.headers.get("Status") == _NOBODY:
            raise NotTakenError(
                f"nobody at {self._servers} takes {subject}: the stream is not there"
            )
        return found

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None = None,
        reply: str = "",
    ) -> None:
        """Send a message. Raises BrokerError."""
        client = self._connection()
        try:
            await client.publish(subject, data, reply, headers)
        except MaxPayloadError:
            raise BrokerError(
                f"a message of {len(data)} bytes is larger than {self._servers} takes"
                f" ({self.payload_max}): raise its max_payload"
            ) from None
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {words_of(error)}") from error

    async def publish_all(self, messages: Iterable[bytes]) -> None:
        """Send messages that are packed already, none too large, with the next one that is sent.

        Raises BrokerError.
        """
        client = self._connection()
        try:
            await client._send_command(b"".join(messages))
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {words_of(error)}") from error

    async def subscribe(self, receiver: Receiver) -> Inbox:
        """Return an inbox whose messages go to `receiver`, for as long as the connection stays.

        Raises BrokerError.
        """
        client = self._connection()
        assert self._wire is not None  # it comes with the connection
        try:
            return await self._wire.subscribe(client.new_inbox(), receiver)
        except (NatsError, OSError) as error:
            raise BrokerError(f"{self._servers}: {words_of(error)}") from error

    async def hear(
        self, subject: str, receiver: Receiver, waiting_max: int, waiting_bytes_max: int
    ) -> None:
        """Have what comes on a subject go to `receiver`, on this connection and on all that follow.

        So much of it may wait, and more is dropped.
        """
        heard = Heard(subject, receiver, waiting_max, waiting_bytes_max)
        self._heard.append(heard)
        if self._client is not None and self._client.is_connected:
            # If the connection is just being lost, the next one has it.
            with contextlib.suppress(NatsError, OSError):
                await heard.subscribe(self._client)

    async def close(self) -> None:
        """End the connection."""
        self._closing = True
        if self._again is not None:
            self._again.cancel()
        self._fail("the event log is closed")
        if self._client is not None:
            with contextlib.suppress(NatsError, OSError):
                await self._client.close()

    def _connection(self) -> Client:
        if (problem := self.problem) is not None:
            raise LostError(problem)
        assert self._client is not None  # or there would be no connection
        return self._client

    @property
    def _servers(self) -> str:
        return ",".join(self._place.servers)

    async def _connect(self) -> None:
        in_tls = self._place.is_tls or self._access.tls is not None
        client = TlsClient() if in_tls else Client()
        wire = Wire.of(client)
        try:
            await self._connected(client, wire)
        except BaseException:
            # Also one that hangs: its server would keep each of these for as long as it does.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSED_WITHIN_S):
                    await client.close()
            raise
        self._client, self._wire, self._error = client, wire, None

    async def _connected(self, client: Client, wire: Wire) -> None:
        await client.connect(
            [f"{self._place.scheme}://{it}" for it in self._place.servers],
            name="telnyx-gateway",
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            closed_cb=self._on_closed,
            # A client that connects again by itself forgets to close what did not respond.
            allow_reconnect=False,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_AGAIN_S,  # type: ignore[arg-type]
            ping_interval=_PING_S,
            max_outstanding_pings=_PINGS_MAX,
            **shown_by(self._access),
        )
        self._prefix = client.new_inbox()
        await wire.subscribe(f"{self._prefix}.*", self._responded)
        for heard in self._heard:
            await heard.subscribe(client)

    def _responded(self, message: Message) -> None:
        response = self._asked.get(message.subject.rpartition(".")[2])
        if response is not None and not response.done():
            response.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        # A server that lets nobody in says so, and then cuts the connection off.
        if self._error is None or not isinstance(error, ConnectionResetError):
            self._error = words_of(error)
        if is_refusal(error):
            self._refused.set()
        _log.debug("%s: %s", self._servers, words_of(error))

    async def _on_lost(self) -> None:
        self._fail(f"the connection to {self._servers} was lost")
        for told in self._lost:
            told()

    async def _on_closed(self) -> None:
        """Begin anew, with a client of its own for each connection."""
        if self._closing or self._again is not None:
            return
        await self._on_lost()
        self._again = asyncio.create_task(self._connect_again(_AGAIN_S))

    async def _connect_again(self, pause_s: float = 0.0) -> None:
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _AGAIN_S
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._connect()
            except TimeoutError:
                pass  # why, the client has said
            except Exception as error:  # whatever it was, it is tried again
                self._error = words_of(error)
                if isinstance(error, LogOpenError):
                    self._unusable = error
                    self._refused.set()
            else:
                self._again = None
                return

    def _fail(self, why: str) -> None:
        for response in self._asked.values():
            if not response.done():
                response.set_exception(LostError(why))
