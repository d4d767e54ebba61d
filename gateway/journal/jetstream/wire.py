"""The wire: messages as bytes of a connection (docs.nats.io, "NATS protocol").

The client library tries patterns on each line, reads headers as those of a mail, and makes of each
message an object that goes through a queue to a task: most of the work while an index is filled.
Here messages are cut out of what has come and go to their receivers at once, and those that go are
put together. The library does all else: it connects, and takes what is no message, such as pings
and errors, and messages that nobody here has asked for.
"""

from collections.abc import Mapping
from typing import TypeAlias

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from gateway.journal.jetstream.messages import Inbox, Message, Receiver

Headers: TypeAlias = Mapping[str, str]

_END = b"\r\n"

# A line before a message: that it is one, its subject, its subscription, perhaps where a response
# goes, the bytes of its headers if it has any, and its bytes with them.
_PLAIN, _WITH_HEADERS = b"MSG", b"HMSG"
_PLAIN_WORDS, _WITH_HEADERS_WORDS = (4, 5), (5, 6)

_NONE: Headers = {}


class Wire(Parser):
    """Reads what comes on one connection. Use `of`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._receivers: dict[int, Receiver] = {}

    @classmethod
    def of(cls, client: Client) -> "Wire":
        """Read for a client that has not connected yet."""
        wire = cls(client)
        assert isinstance(client._ps, Parser)  # or it is read by something else
        client._ps = wire
        return wire

    async def subscribe(self, subject: str, receiver: Receiver) -> Inbox:
        """Have messages on a subject that nobody else knows yet go to a receiver.

        Of their headers only a status is read. Raises NatsError and OSError.
        """
        subscription = await self.nc.subscribe(subject, cb=_nobody)
        number = subscription._id
        self._receivers[number] = receiver
        return Inbox(subject, subscription, lambda: self._receivers.pop(number, None))

    def reset(self) -> None:
        """Forget what has come."""
        super().reset()
        self._held = bytearray()
        # How many bytes there must be before there is anything to do.
        self._needed = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take what has come. Raises ProtocolError."""
        held = self._held
        held += data
        if len(held) < self._needed:
            return
        come, at = bytes(held), 0
        size, self._needed = len(come), 0
        while (end := come.find(_END, at)) >= 0:
            words = come[at:end].split()
            begins = stop = end + 2
            with_headers = come.startswith(_WITH_HEADERS, at)
            if with_headers or come.startswith(_PLAIN, at):
                headers, length = _lengths(words, with_headers)
                stop += length
                if stop + 2 > size:
                    self._needed = stop + 2 - at
                    break
                head, body = come[begins : begins + headers], come[begins + headers : stop]
                reply = words[3] if len(words) - with_headers == 5 else b""
                receiver = self._receivers.get(int(words[2]))
                if receiver is None:
                    await self.nc._process_msg(int(words[2]), words[1], reply, body, head or None)
                else:
                    try:
                        receiver(Message(body, _status_in(head), reply.decode(), words[1].decode()))
                    except Exception as error:  # whatever it was, the next message is another's
                        await self.nc._error_cb(error)
                at = stop + 2
            else:
                await super().parse(come[at:stop])
                at = stop
            if self._held is not held:
                return  # what has come is of a connection that has ended
        del held[:at]


def packed(subject: str, data: bytes, headers: Headers) -> bytes:
    """Return a message as it is sent. Nothing but `data` has blanks or ends of lines in it."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    line = f"HPUB {subject} {len(head)} {len(head) + len(data)}\r\n".encode()
    return b"".join((line, head, data, _END))


def _lengths(words: list[bytes], with_headers: bool) -> tuple[int, int]:
    """Return how many bytes of headers follow a line, and how many bytes in all."""
    if len(words) not in (_WITH_HEADERS_WORDS if with_headers else _PLAIN_WORDS):
        raise ProtocolError("a message cannot be read")
    try:
        length = int(words[-1])
        return (int(words[-2]), length) if with_headers else (0, length)
    except ValueError:
        raise ProtocolError("a message cannot be read") from None


def _status_in(head: bytes) -> Headers:
    """Return what headers say instead of a message (ADR-4, "inline status"); empty if nothing.

    Its text, and what else they have.
    """
    if head[8:9] != b" ":
        return _NONE
    first, *rest = head.decode(errors="replace").split("\r\n")
    status, _, text = first[9:].partition(" ")
    found = {"Status": status, "Description": text}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found


async def _nobody(message: Msg) -> None:
    """Take what nobody wants any more."""
