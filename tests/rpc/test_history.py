"""Stored events by page and by id, and what the log holds."""

import socket

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import (
    EventFilter,
    GetEventRequest,
    GetFeedInfoRequest,
    ListEventsRequest,
)
from gateway.tokens import TokenKind, arguments_digest, seal
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.reading import pages
from tests.harness.webhooks import webhook


def test_events_are_listed_in_pages_both_ways(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event() for _ in range(5)]

    assert pages(fresh, page_size=2) == [sent[:2], sent[2:4], sent[4:]]
    backwards = sent[::-1]
    assert pages(fresh, page_size=2, newest_first=True) == [
        backwards[:2],
        backwards[2:4],
        backwards[4:],
    ]
    assert pages(fresh) == [sent]
    assert pages(fresh, page_size=5) == [sent]


def test_events_are_listed_by_filter_and_time(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event(conference_id=f"c{number % 2}") for number in range(4)]
    events = fresh.events.ListEvents(ListEventsRequest()).events

    assert pages(fresh, filter={"conference_ids": ["c1"]}) == [[sent[1], sent[3]]]
    second = events[1].received_at
    assert pages(fresh, received_at={"eq": second}) == [[sent[1]]]
    assert pages(fresh, received_at={"gt": second}) == [sent[2:]]
    assert pages(fresh, received_at={"lte": second}) == [sent[:2]]
    assert pages(fresh, received_at={"lt": second, "gte": second}) == [[]]


def test_a_page_token_is_bound_to_its_arguments(fresh: RunningGateway) -> None:
    for _ in range(3):
        fresh.webhooks.event()
    token = fresh.events.ListEvents(ListEventsRequest(page_size=1)).next_page_token

    other = ListEventsRequest(page_token=token, newest_first=True)
    assert "page_token" in failure_of(fresh.events.ListEvents, other).violations
    # The size of a page is free to change.
    same = ListEventsRequest(page_token=token, page_size=9)
    assert len(fresh.events.ListEvents(same).events) == 2


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("number", [5, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_token_that_nobody_gave_is_an_invalid_argument(
    fresh: RunningGateway, number: int, newest_first: bool
) -> None:
    for _ in range(3):
        fresh.webhooks.event()
    request = ListEventsRequest(newest_first=newest_first)
    epoch = bytes.fromhex(fresh.events.GetFeedInfo(GetFeedInfoRequest()).epoch)
    place = epoch + number.to_bytes(8)
    request.page_token = seal(TokenKind(b"l", 2), place + arguments_digest(request))

    failure = failure_of(fresh.events.ListEvents, request)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.violations == {"page_token": "is not a token from a list response"}


def test_a_token_of_another_log_is_no_place_in_this_one(fresh: RunningGateway) -> None:
    for _ in range(3):
        fresh.webhooks.event()
    request = ListEventsRequest()
    place = b"another!" + (1).to_bytes(8)
    request.page_token = seal(TokenKind(b"l", 2), place + arguments_digest(request))

    failure = failure_of(fresh.events.ListEvents, request)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "not here any more" in failure.violations["page_token"]


def test_bad_paging_is_named_all_at_once(gateway: RunningGateway) -> None:
    request = ListEventsRequest(page_size=-1, page_token="x", filter=EventFilter(types=[""]))

    failure = failure_of(gateway.events.ListEvents, request)

    assert set(failure.violations) == {"page_size", "page_token", "filter.types[0]"}


@pytest.mark.slow
def test_pages_of_large_events_stay_within_what_clients_accept(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event(conference_id="c", padding="x" * 400_000) for _ in range(8)]

    found = pages(fresh, include_raw=True)

    assert [id_ for page in found for id_ in page] == sent
    assert len(found) > 1


def test_an_event_is_found_by_its_id(fresh: RunningGateway) -> None:
    fresh.webhooks.event()
    body = webhook(id_="wanted")
    fresh.webhooks.post(body)

    found = fresh.events.GetEvent(GetEventRequest(event_id="wanted", include_raw=True)).event

    assert (found.id, found.sequence, found.raw_json) == ("wanted", 2, body)
    assert not fresh.events.GetEvent(GetEventRequest(event_id="wanted")).event.raw_json


def test_an_event_that_is_not_held_is_not_found(gateway: RunningGateway) -> None:
    failure = failure_of(gateway.events.GetEvent, GetEventRequest(event_id="nobody"))

    assert failure.code is grpc.StatusCode.NOT_FOUND
    resource = failure.detail(error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("event", "nobody")
    missing = failure_of(gateway.events.GetEvent, GetEventRequest())
    assert missing.violations == {"event_id": "is required"}


def test_the_feed_info_tells_how_far_the_log_reaches(fresh: RunningGateway) -> None:
    empty = fresh.events.GetFeedInfo(GetFeedInfoRequest())
    assert (empty.event_count, empty.oldest_sequence, empty.newest_sequence) == (0, 0, 0)
    assert empty.oldest_cursor == empty.newest_cursor
    assert not empty.HasField("oldest_received_at")

    for _ in range(2):
        fresh.webhooks.event()

    info = fresh.events.GetFeedInfo(GetFeedInfoRequest())
    assert (info.event_count, info.oldest_sequence, info.newest_sequence) == (2, 1, 2)
    assert info.oldest_cursor == empty.newest_cursor
    assert info.size_bytes > 0
    assert info.newest_received_at.ToMicroseconds() >= info.oldest_received_at.ToMicroseconds() > 0
    assert (info.retention_age.seconds, info.backend) == (7 * 86_400, "sqlite")
    assert info.replica == socket.gethostname()
    assert info.durability == "a power cut costs nothing: each event is synced to the disk"
    assert not info.HasField("index")


@pytest.mark.slow
@pytest.mark.parametrize("epoch_bytes", [8])
def test_the_epoch_is_the_logs_identity(fresh: RunningGateway, epoch_bytes: int) -> None:
    epoch = fresh.events.GetFeedInfo(GetFeedInfoRequest()).epoch

    assert len(bytes.fromhex(epoch)) == epoch_bytes


# Long searches
