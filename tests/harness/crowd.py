"""A crowd: calls and streams over some connections, and what became of each of them."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2

from conferencing.v1.conference_service_pb2 import EndConferenceRequest, PlayAudioRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_SHUTDOWN,
    SubscribeRequest,
    SubscribeResponse,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.harness.gateway import Failure
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.webhooks import Poster, webhook

# Longer than any test takes, in seconds.
_PATIENCE_S = 60.0


class EchoingProvider(RecordingProvider):
    """Answers with the name that it was asked for, of names that begin with `held` when let go."""

    def __init__(self) -> None:
        super().__init__()
        self.letting_go = threading.Event()

        def answer(request: SentRequest) -> Answer:
            name = self.name_in(request)
            if name.startswith("held"):
                self.letting_go.wait(_PATIENCE_S)
            return Answer(body={"data": {"record_type": "queue", "name": name, "result": name}})

        self.answer = answer

    @staticmethod
    def name_in(request: SentRequest) -> str:
        """The name in a path such as `/v2/conferences/NAME/actions/end`."""
        return request.path.split("/")[3]

    def asked_for(self) -> Counter[str]:
        """How many requests there were for each name."""
        return Counter(map(self.name_in, self.requests))


@dataclass(frozen=True)
class StreamEnd:
    """What a stream has given until its end."""

    events: Sequence[str]
    cursor: str
    is_drained: bool


class NamedCall:
    """A call of its own name: a query, or a command that may be repeated, or one that must not."""

    def __init__(self, channel: grpc.Channel, name: str, kind: int) -> None:
        self.name = name
        self.can_be_repeated = kind < 2
        self._call: Any
        self._echo: Callable[[Any], str] = lambda response: response.receipt.result
        conferences, timeout = ConferenceServiceStub(channel), _PATIENCE_S
        if kind == 0:
            asked = GetQueueRequest(queue_name=name)
            self._call = QueueServiceStub(channel).GetQueue.future(asked, timeout=timeout)
            self._echo = lambda response: response.queue.name
        elif kind == 1:
            end = EndConferenceRequest(conference_id=name)
            self._call = conferences.EndConference.future(end, timeout=timeout)
        else:
            play = PlayAudioRequest(conference_id=name, media_name="m")
            self._call = conferences.PlayAudio.future(play, timeout=timeout)

    @property
    def is_over(self) -> bool:
        return bool(self._call.done())

    def end(self) -> str:
        """How it ended: `OK` with its own response, or the status and where it was made."""
        error = self._call.exception(_PATIENCE_S)
        if error is None:
            echoed = self._echo(self._call.result())
            return "OK" if echoed == self.name else f"the response of {echoed}"
        failure = Failure(error)
        if not failure.status:
            return f"{failure.code.name} on the way"
        retry = failure.detail(error_details_pb2.RetryInfo)
        return f"{failure.code.name} {failure.info.reason}{'' if retry else ', without RetryInfo'}"


class Crowd:
    """Calls and streams, each on the next one of the channels; use as a context manager."""

    def __init__(self, channels: Sequence[grpc.Channel], streams: int) -> None:
        self._channels = channels
        # Each stream is read by a thread of its own, as by a client of its own.
        self._readers = ThreadPoolExecutor(streams)
        self._calls = 0

    def call(self, kind: str, count: int) -> list[NamedCall]:
        """Begin calls with names that begin with their kind."""
        begun: list[NamedCall] = []
        for _ in range(count):
            self._calls += 1
            channel = self._channels[self._calls % len(self._channels)]
            begun.append(NamedCall(channel, f"{kind}-{self._calls}", self._calls % 3))
        return begun

    def follow(self, requests: Sequence[SubscribeRequest]) -> list[Future[StreamEnd]]:
        """Open streams, and return when all are open; each is read to its end."""
        streams = [
            EventServiceStub(self._channels[number % len(self._channels)]).Subscribe(
                request, timeout=_PATIENCE_S
            )
            for number, request in enumerate(requests)
        ]
        for stream in streams:
            assert not next(stream).events
        return [self._readers.submit(_read, stream) for stream in streams]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for channel in self._channels:
            channel.close()
        self._readers.shutdown()


def _read(stream: Any) -> StreamEnd:
    responses: list[SubscribeResponse] = list(stream)
    assert stream.code() is grpc.StatusCode.OK
    *before, last = responses
    assert not any(it.HasField("drain") for it in before), "a stream went on after its drain"
    return StreamEnd(
        [event.id for it in responses for event in it.events],
        last.cursor,
        last.drain.reason == DRAIN_REASON_SHUTDOWN,
    )


class Posting:
    """Posts one webhook after the other, from construction on, until nobody is listening."""

    def __init__(self, poster: Poster) -> None:
        # The ids of events that the gateway has said it holds.
        self.acknowledged: list[str] = []
        self._poster = poster
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._thread.start()

    def _post(self) -> None:
        number = 0
        while True:
            number += 1
            id_ = f"event-{number}"
            try:
                status = self._poster.post(webhook(id_=id_)).status
            except OSError:
                return
            if status == 200:
                with self._news:
                    self.acknowledged.append(id_)
                    self._news.notify_all()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more have been acknowledged."""
        with self._news:
            enough = len(self.acknowledged) + count
            assert self._news.wait_for(lambda: len(self.acknowledged) >= enough, _PATIENCE_S)

    def join(self) -> None:
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()
