"""Subscribers and posters of a gateway behind real sockets, written down as those in the process.

Nothing here knows the gateway's insides: numbers are read from the file on disk.
"""

import http.client
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import grpc

from conferencing.v1.event_service_pb2 import SubscribeRequest
from tests.harness.gateway import Failure
from tests.harness.webhooks import Poster, webhook
from tests.oracle.disk import Reading, read_log
from tests.oracle.history import Ended, Opening, Stream
from tests.oracle.model import Fields, Known, Model, Posted, Stored

_SUBSCRIBE = "/conferencing.v1.EventService/Subscribe"
_PATIENCE_S = 30.0


def posted(id_: str, fields: Fields, padding: int = 0) -> Posted:
    """An event as its provider signs it. How the gateway encodes it is its own affair."""
    names = ("conference_id", "call_control_id", "call_session_id", "connection_id")
    payload: dict[str, Any] = {name: value for name in names if (value := getattr(fields, name))}
    if fields.queue_name:
        payload["queue"] = fields.queue_name
    if padding:
        payload["padding"] = "x" * padding
    return Posted(id_, fields, b"", webhook(fields.type, payload, id_))


class RemoteLog:
    """The log of some gateways as their poster knows it, and as `read` finds it where it is."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self.lock = threading.Lock()
        self._unnumbered: list[tuple[Posted, bool]] = []
        self.model = Model()

    @classmethod
    def in_file(cls, path: Path) -> "RemoteLog":
        return cls(partial(read_log, path))

    @property
    def known(self) -> Known:
        with self.lock:
            return self.model.era.known

    @property
    def acknowledged(self) -> int:
        """How many posts have been answered 2xx since the last audit."""
        with self.lock:
            return len(self._unnumbered)

    def post(self, poster: Poster, events: Sequence[Posted]) -> list[int]:
        """Post all at once; returns the statuses, 0 for what was never answered."""
        with self.lock:
            for event in events:
                self.model.era.post(event, 0)
        if len(events) == 1:
            return [self._send(poster, events[0])]
        with ThreadPoolExecutor(len(events)) as pool:
            return list(pool.map(lambda event: self._send(poster, event), events))

    def _send(self, poster: Poster, event: Posted) -> int:
        try:
            reply = poster.post(event.raw)
        except (OSError, http.client.HTTPException):
            return 0
        with self.lock:
            if reply.status == 200:
                self._unnumbered.append((event, reply.body["status"] == "duplicate"))
            else:
                self.model.era.refuse(event, 0)
        return reply.status

    def audit(self, *copies: Callable[[], Reading]) -> None:
        """Compare with what is stored, while nothing is being posted.

        `copies` are read, too: they must be of the same events, down to the bytes that are sent.
        """
        rows, pruned, damage = self._read()
        numbers = {row.id: row.sequence for row in rows}
        with self.lock:
            era = self.model.era
            for event, duplicate in self._unnumbered:
                # What is nowhere gets a number that is nowhere: the audit says so.
                number = numbers.get(event.id, era.newest + 1)
                era.acknowledge(event, 0, number, duplicate=duplicate)
            self._unnumbered.clear()
            era.crash()
            era.audit(rows, pruned, damage)
            for row in rows:  # when they came is the gateway's to say
                event = era.stored[row.sequence].event
                era.stored[row.sequence] = Stored(event, row.received_at_us)
            for read in copies:
                era.audit(*read())


class RemoteReader:
    """A subscriber that reads in a thread of its own."""

    def __init__(self, name: str, log: RemoteLog) -> None:
        self.name = name
        self.streams: list[Stream] = []
        self._log = log
        self._changed = threading.Condition()
        self._reads = threading.Event()
        self._reads.set()
        self._call: Any = None
        self._thread: threading.Thread | None = None

    @property
    def cursor(self) -> str:
        """The last one it has."""
        return next(it.cursors[-1] for it in reversed(self.streams) if it.responses)

    def stall(self) -> None:
        self._reads.clear()

    def unstall(self) -> None:
        self._reads.set()

    def open(self, channel: grpc.Channel, opening: Opening) -> Stream:
        """Open a stream. What this reader has been given before is there, whoever gave it."""
        known, epoch = self._log.known, self._log.model.era.epoch
        had = max(
            (it.position for it in self.streams if it.responses and it.epoch == epoch), default=0
        )
        known = replace(known, newest=max(known.newest, had), possible=max(known.possible, had))
        stream = Stream(f"{self.name}.{len(self.streams)}", opening, epoch, known)
        self.streams.append(stream)
        # As bytes: how events are encoded is part of what is promised.
        subscribe = channel.unary_stream(
            _SUBSCRIBE, SubscribeRequest.SerializeToString, lambda encoded: encoded
        )
        self._call = subscribe(opening.request())
        self._thread = threading.Thread(target=self._read, args=(self._call, stream), daemon=True)
        self._thread.start()
        return stream

    def leave(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self.join()

    def join(self) -> None:
        """Return when the stream has ended."""
        assert self._thread is not None
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), f"{self.name}: its stream does not end"

    def wait_until(self, happened: Callable[[Stream], bool]) -> bool:
        """Wait until something holds of the last stream, or has no chance to any more."""
        stream = self.streams[-1]
        with self._changed:
            self._changed.wait_for(lambda: happened(stream) or stream.ended, _PATIENCE_S)
            return happened(stream)

    def _read(self, call: Any, stream: Stream) -> None:
        try:
            for encoded in call:
                self._reads.wait(_PATIENCE_S)
                with self._changed:
                    stream.take(encoded, self._log.known)
                    stream.times.append(monotonic())
                    self._changed.notify_all()
            ended = Ended("ok")
        except grpc.RpcError as error:
            ended = _end_of(error)
        with self._changed:
            stream.ended, stream.ended_at = ended, self._log.known
            self._changed.notify_all()


def _end_of(error: grpc.RpcError) -> Ended:
    if error.code() is grpc.StatusCode.CANCELLED:
        # Not to be taken apart: it may have the details of the end that came at the same moment.
        return Ended("left")
    failure = Failure(error)
    if failure.code is grpc.StatusCode.OUT_OF_RANGE:
        return Ended(failure.code.name, failure.info.reason, dict(failure.info.metadata))
    return Ended("broken", failure.code.name)
