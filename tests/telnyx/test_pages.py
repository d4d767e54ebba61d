"""Pages: AIP-158 over the provider's numbered pages."""

from typing import Any

import pytest

from conferencing.v1.conference_service_pb2 import ListParticipantsRequest
from conferencing.v1.queue_service_pb2 import ListQueuesRequest
from gateway.telnyx.pages import Page, PageError
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider


def request(**fields: object) -> ListParticipantsRequest:
    return ListParticipantsRequest(conference_id="c1", **fields)  # type: ignore[arg-type]


def test_the_first_page_leaves_the_size_to_the_provider() -> None:
    assert Page.of(request()).query() == []


def test_a_token_leads_to_the_next_page_until_the_last() -> None:
    first = Page.of(request(page_size=10))
    second = Page.of(request(page_size=10, page_token=first.next_token(total_pages=2)))

    assert second.query() == [("page[number]", "2"), ("page[size]", "10")]
    assert second.next_token(total_pages=2) == ""


def test_the_size_may_be_left_out_with_a_token() -> None:
    token = Page.of(request(page_size=10)).next_token(2)

    assert Page.of(request(page_token=token)).size == 10


def test_a_size_above_the_providers_limit_is_coerced() -> None:
    assert Page.of(request(page_size=5_000)).size == 250


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(PageError, match="negative"):
        Page.of(request(page_size=-1))


@pytest.mark.parametrize("other", [{"conference_id": "c2"}, {"page_size": 20}, {"region": 1}])
def test_a_token_is_bound_to_its_arguments(other: dict[str, object]) -> None:
    token = Page.of(request(page_size=10)).next_token(2)
    changed = request(page_size=10, page_token=token)
    for name, value in other.items():
        setattr(changed, name, value)

    with pytest.raises(PageError, match="other arguments"):
        Page.of(changed)


@pytest.mark.parametrize("token", ["x", "!", "AAAA", "é", "Y--VtHx77esBAAAAAAAAAABL4-Os"])
def test_a_text_that_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(PageError, match="is not a token"):
        Page.of(request(page_token=token))


@pytest.mark.parametrize(
    ("meta", "total", "has_next"),
    [
        ({"total_pages": 2, "total_results": 30}, 30, True),
        ({"total_pages": 1, "total_results": 2**31}, 2**31 - 1, False),
        ({"total_pages": "2", "total_results": None}, 0, False),
        ({}, 0, False),
        (None, 0, False),
        ([], 0, False),
    ],
)
def test_a_page_is_never_lost_for_its_totals(
    gateway: RunningGateway, provider: RecordingProvider, meta: Any, total: int, has_next: bool
) -> None:
    provider.answer = Answer(200, {"data": [{"id": "q"}], "meta": meta})

    page = gateway.queues.ListQueues(ListQueuesRequest())

    assert [queue.id for queue in page.queues] == ["q"]
    assert (page.total_size, bool(page.next_page_token)) == (total, has_next)
