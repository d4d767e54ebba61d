"""What is sent on a connection: abandoned when nobody reads it, dropped when nobody is there."""

import asyncio
from collections.abc import Callable
from typing import Any

# How long a peer may read nothing of what waits to be sent, in seconds. A sender that waits for its
# response reads it at once, and networks recover from lost packets in a few seconds; longer than
# this, memory is held for nobody. This is also how often it is checked, so that the connection ends
# within twice the time.
UNREAD_S = 30.0


class OutgoingTransport(asyncio.Transport):
    """A transport whose writes after the close are dropped.

    uvloop raises for them, and uvicorn does not know the close for all requests of a connection.
    `unread` is called before the connection is aborted because nothing is read.

    A write is sent together with the one after it, if that comes in the same turn of the loop. So a
    response, which uvicorn writes as a head and a body, is one packet. A second one costs the loop
    some microseconds for each webhook, and wakes the sender in vain.
    """

    def __init__(
        self,
        inner: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        unread: Callable[[], None],
    ) -> None:
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._unread = unread
        self._written = 0
        # What is sent with the next write, or when `_flush` is called, which may be due already.
        self._held: bytes | None = None
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: Any) -> None:
        """See `asyncio.WriteTransport`."""
        if self._inner.is_closing():
            return
        held, self._held = self._held, None
        if held is not None:
            self._send(held + data)
            return
        self._held = data
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._turn_ended)

    @property
    def is_unread(self) -> bool:
        """Whether something waits for the peer to read what was written before."""
        return self._inner.get_write_buffer_size() > 0

    def close(self) -> None:
        """See `asyncio.BaseTransport`: what has been written is still sent, if it is read."""
        self._flush()
        self._inner.close()

    def abort(self) -> None:
        """See `asyncio.WriteTransport`."""
        self._inner.abort()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport`."""
        return self._inner.get_extra_info(name, default)

    def lost(self) -> None:
        """Stop watching, and let go of the connection, which leads back here: it is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._inner = _Gone()
        self._unread = _nothing

    def _turn_ended(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None and not self._inner.is_closing():
            self._send(held)

    def _send(self, data: bytes) -> None:
        self._inner.write(data)
        self._written += len(data)
        if self._timer is None and self._inner.get_write_buffer_size():
            self._watch()

    def _watch(self) -> None:
        read = self._written - self._inner.get_write_buffer_size()
        self._timer = self._loop.call_later(UNREAD_S, self._look, read)

    def _look(self, read_before: int) -> None:
        self._timer = None
        waiting = self._inner.get_write_buffer_size()
        if not waiting:
            return
        if self._written - waiting > read_before:
            self._watch()
            return
        self._unread()
        self._inner.abort()


class _Gone(asyncio.Transport):
    """Stands for a connection that is gone: nothing can be done with it."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def _nothing() -> None:
    pass
