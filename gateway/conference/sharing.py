"""Accepted commands, told to whoever shows conferences: here, and at the log's other gateways.

Another gateway's word changes no more than a command of one's own does: what is shown is read from
the provider anew. What is lost on the way is shown by the next event, or by the next refresh.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from gateway.conference.ports import CONFERENCE_KEY
from gateway.journal.ports import Broadcast

# The longest message, in bytes: a command that names a thousand calls.
MESSAGE_BYTES_MAX = 2**17

# What a log line shows of a message that cannot be read.
_SHOWN_CHARACTERS_MAX = 100

_log = logging.getLogger(__name__)


class SharedCommands:
    """Takes each accepted command, and shares it.

    `requests` are the types of commands, and `takers` take note of a command by its request.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        requests: Iterable[type[Message]],
        takers: Sequence[Callable[[Message], None]],
    ) -> None:
        self._broadcast = broadcast
        self._requests = {it.DESCRIPTOR.full_name: it for it in requests}
        self._takers = takers
        self._too_large = 0
        self.received = 0
        self.rejected = 0
        broadcast.listen(self._received)

    @property
    def dropped(self) -> int:
        """How many commands the other gateways were not told of."""
        return self._broadcast.dropped + self._too_large

    def accepted(self, request: Message) -> None:
        """Take a command that the provider accepted, by its request."""
        self._take(request)
        # One that names no conference concerns nobody.
        if not getattr(request, CONFERENCE_KEY, ""):
            return
        message = Any()
        message.Pack(request)
        data = message.SerializeToString()
        if len(data) > MESSAGE_BYTES_MAX:
            self._too_large += 1
        else:
            self._broadcast.send(data)

    def _received(self, data: bytes) -> None:
        """Take a command of another gateway. It is not told on: all have heard it."""
        try:
            request = self._read(data)
        except ValueError as error:
            if not self.rejected:
                _log.warning(
                    "a message about a command of another gateway cannot be used: %s. Others like"
                    " it are only counted",
                    error,
                )
            self.rejected += 1
            return
        self.received += 1
        self._take(request)

    def _read(self, data: bytes) -> Message:
        """Return the request in a message. Raises ValueError."""
        if len(data) > MESSAGE_BYTES_MAX:
            raise ValueError(f"it has {len(data)} bytes, and may have {MESSAGE_BYTES_MAX}")
        try:
            message = Any.FromString(data)
            name = message.TypeName()
            type_ = self._requests.get(name)
            if type_ is None:
                raise ValueError(f"{name[:_SHOWN_CHARACTERS_MAX]!r} is no command")
            request = type_.FromString(message.value)
        except DecodeError:
            raise ValueError("it is no message of a gateway") from None
        if not getattr(request, CONFERENCE_KEY, ""):
            raise ValueError("it names no conference")
        return request

    def _take(self, request: Message) -> None:
        for take in self._takers:
            take(request)
