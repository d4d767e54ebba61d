"""The cursor in a command's receipt."""

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider, SentRequest

END = c.EndConferenceRequest(conference_id="conf-1")


def test_an_effect_that_comes_before_the_response_comes_after_the_cursor(
    fresh: RunningGateway, provider: RecordingProvider
) -> None:
    fresh.webhooks.event()
    effects: list[str] = []

    def answer(_: SentRequest) -> Answer:
        effects.append(fresh.webhooks.event("conference.ended"))
        return Answer()

    provider.answer = answer
    cursor = fresh.conferences.EndConference(END).receipt.cursor

    stream = fresh.events.Subscribe(SubscribeRequest(after_cursor=cursor, stop_when_caught_up=True))
    assert [event.id for response in stream for event in response.events] == effects


def test_the_cursor_is_the_newest_there_is_when_the_command_is_sent(
    fresh: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(503)
    with pytest.raises(grpc.RpcError):
        fresh.conferences.EndConference(END, timeout=0.5)
    fresh.webhooks.event()
    provider.answer = Answer()

    cursor = fresh.conferences.EndConference(END).receipt.cursor

    assert cursor == fresh.events.GetFeedInfo(GetFeedInfoRequest()).newest_cursor
