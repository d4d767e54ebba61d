"""A way to a port that tests cut, slow down and make swallow everything.

A cut is noticed at once: connections end, and nobody takes new ones. A way that swallows is what a
network does that is partitioned: connections stay, new ones come about, and nothing arrives, not
even that the other end has gone.
"""

import asyncio
from asyncio import StreamReader, StreamWriter

from tests.harness.loop import LoopThread

_PIECE_BYTES = 65_536


class Link:
    """Passes on from construction to `close`, from a port of its own."""

    def __init__(self, loop: LoopThread, to_port: int) -> None:
        self._loop = loop
        self._to_port = to_port
        self._is_cut = False
        self._delay_s = 0.0
        self._passing = loop.call(asyncio.Event)
        self._open: set[StreamWriter] = set()
        self._work: set[asyncio.Task[None]] = set()
        loop.call(self._passing.set)
        self._server = loop.run(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End all connections, and new ones at once."""

        def cut() -> None:
            self._is_cut = True
            self._end_all()

        self._loop.call(cut)

    def swallow(self) -> None:
        """Let nothing through, in either direction, and say so to nobody."""
        self._loop.call(self._passing.clear)

    def delay(self, seconds: float) -> None:
        """Have everything that comes take longer."""
        self._delay_s = seconds

    def mend(self) -> None:
        """Pass on everything again, what has been held up too."""

        def mend() -> None:
            self._is_cut, self._delay_s = False, 0.0
            self._passing.set()

        self._loop.call(mend)

    def close(self) -> None:
        self._loop.run(self._close())

    async def _close(self) -> None:
        self._server.close()
        self._end_all()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _accepted(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        self._open.add(writer)
        try:
            await self._passing.wait()
            if not self._is_cut:
                await self._join(reader, writer)
        except OSError:
            pass  # either end has gone
        finally:
            self._open.discard(writer)
            self._work.discard(task)
            writer.transport.abort()

    async def _join(self, reader: StreamReader, writer: StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._open.add(other_writer)
        ways = [
            asyncio.create_task(self._pass(reader, other_writer)),
            asyncio.create_task(self._pass(other_reader, writer)),
        ]
        try:
            # Neither protocol here closes one direction only.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(other_writer)
            other_writer.transport.abort()

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            piece = await reader.read(_PIECE_BYTES)
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._passing.wait()
            if not piece:
                return
            writer.write(piece)
            await writer.drain()

    def _end_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()
