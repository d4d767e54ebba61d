"""Callers who call again at once, whatever they get, until nobody is listening any more."""

import threading
from collections import Counter

import grpc

from conferencing.v1.conference_service_pb2 import EndConferenceRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.harness.gateway import Failure

# How a caller learns that nobody is listening, on a port or on a socket file that is gone: its
# library's words, not ours.
_NOBODY = ("Connection refused", "No such file or directory")


class Storm:
    """Storms from construction on over connections of its own; `join` waits for its end."""

    def __init__(
        self,
        address: str,
        connections: int,
        callers: int,
        tls: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.ends: Counter[str] = Counter()
        self._lock = threading.Condition()
        # Each with a connection of its own.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channels = [
            grpc.secure_channel(address, tls, options)
            if tls is not None
            else grpc.insecure_channel(address, options)
            for _ in range(connections)
        ]
        self._threads = [
            threading.Thread(target=self._storm, args=(channel, number), daemon=True)
            for channel in self.channels
            for number in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def _storm(self, channel: grpc.Channel, number: int) -> None:
        while True:
            try:
                if number == 0:
                    for _ in EventServiceStub(channel).Subscribe(SubscribeRequest(), timeout=60):
                        pass
                    end = "stream ended in order"
                elif number % 2:
                    QueueServiceStub(channel).GetQueue(GetQueueRequest(queue_name="q"), timeout=60)
                    end = "OK"
                else:
                    request = EndConferenceRequest(conference_id="c")
                    ConferenceServiceStub(channel).EndConference(request, timeout=60)
                    end = "OK"
            except grpc.RpcError as error:
                failure = Failure(error)
                end = f"{failure.code.name} {failure.info.reason if failure.status else ''}"
                if not failure.status and any(it in failure.message for it in _NOBODY):
                    return
            with self._lock:
                self.ends[end] += 1
                self._lock.notify_all()

    def wait_for(self, end: str, count: int) -> None:
        """Wait until so many calls have ended so."""
        with self._lock:
            assert self._lock.wait_for(lambda: self.ends[end] >= count, 60), self.ends

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for channel in self.channels:
            channel.close()
