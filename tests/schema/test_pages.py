"""Pages: AIP-158 over the provider's numbered pages."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conferencing.v1.conference_service_pb2 import ListParticipantsRequest
from conferencing.v1.event_service_pb2 import WatchConferenceRequest
from conferencing.v1.queue_service_pb2 import ListQueuesRequest
from gateway.schema.decoder import MismatchError
from gateway.schema.pages import _KIND, _LAYOUT, PAGE_NUMBER_MAX, PageError, RequestedPage
from gateway.schema.response import ITEMS_MAX
from gateway.schema.services import COMMAND_SERVICES
from gateway.tokens import seal
from gateway.upstream.bound import operations_of
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider, SentRequest

(LIST_QUEUES,) = [it for it in operations_of(COMMAND_SERVICES) if it.name == "ListQueues"]


def request(**fields: object) -> ListParticipantsRequest:
    return ListParticipantsRequest(conference_id="c1", **fields)  # type: ignore[arg-type]


def next_token(page: RequestedPage, count: int = 10, **meta: object) -> str:
    return page.read(count, meta)[1]


def test_the_first_page_leaves_the_size_to_the_provider() -> None:
    assert RequestedPage.of(request()).query() == []


def test_a_token_leads_to_the_next_page_until_the_last() -> None:
    token = next_token(RequestedPage.of(request(page_size=10)), total_pages=2)
    second = RequestedPage.of(request(page_size=10, page_token=token))

    assert second.query() == [("page[number]", "2"), ("page[size]", "10")]
    assert next_token(second, total_pages=2) == ""


def test_the_size_may_be_left_out_with_a_token() -> None:
    token = next_token(RequestedPage.of(request(page_size=10)), total_pages=2)

    assert RequestedPage.of(request(page_token=token)).size == 10


def test_a_size_above_the_providers_limit_is_coerced() -> None:
    assert RequestedPage.of(request(page_size=5_000)).size == 250


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(PageError, match="negative"):
        RequestedPage.of(request(page_size=-1))


@pytest.mark.parametrize("other", [{"conference_id": "c2"}, {"region": 1}])
def test_a_token_is_bound_to_its_arguments(other: dict[str, object]) -> None:
    token = next_token(RequestedPage.of(request(page_size=10)), total_pages=2)
    changed = request(page_size=10, page_token=token)
    for name, value in other.items():
        setattr(changed, name, value)

    with pytest.raises(PageError, match="other arguments"):
        RequestedPage.of(changed)


@pytest.mark.parametrize("token", ["x", "!", "AAAA", "é", "Y--VtHx77esBAAAAAAAAAABL4-Os"])
def test_a_text_that_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(PageError, match="is not a token"):
        RequestedPage.of(request(page_token=token))


@pytest.mark.parametrize(
    ("number", "size"), [(0, 10), (PAGE_NUMBER_MAX + 1, 10), (2**32 - 1, 10), (1, 251)]
)
def test_a_token_for_a_page_that_cannot_be_is_refused(
    gateway: RunningGateway, number: int, size: int
) -> None:
    arguments = RequestedPage.of(ListQueuesRequest())._arguments
    token = seal(_KIND, _LAYOUT.pack(number, 0, size, 0, True, arguments))

    failure = failure_of(gateway.queues.ListQueues, ListQueuesRequest(page_token=token))

    assert failure.code.name == "INVALID_ARGUMENT"
    assert set(failure.violations) == {"page_token"}


@dataclass
class Listing:
    """A provider with so many queues, who shows them by page number and says of them what he will.

    `size_max` is the most he puts on a page; `says` makes the `meta` of a page from the truth.
    """

    items: int
    size_max: int = 250
    default: int = 20
    # The sizes that he makes, if not all: the least that holds what was asked for, or the largest.
    sizes: tuple[int, ...] = ()
    says: Any = None
    asked: list[dict[str, str]] = field(default_factory=list)

    def document(self, query: dict[str, str]) -> dict[str, Any]:
        self.asked.append(query)
        assert len(self.asked) < 2_000, "the list never ends"
        size = min(int(query.get("page[size]", self.default)), self.size_max)
        if self.sizes:
            size = min((it for it in self.sizes if it >= size), default=max(self.sizes))
        number = int(query.get("page[number]", 1))
        shown = range(self.items)[(number - 1) * size : number * size]
        truth = {
            "page_number": number,
            "page_size": size,
            "total_pages": -(-self.items // size),
            "total_results": self.items,
        }
        document: dict[str, Any] = {"data": [{"id": str(it)} for it in shown]}
        meta = self.says(truth) if self.says else truth
        return document if meta is NO_META else {**document, "meta": meta}

    def __call__(self, sent: SentRequest) -> Answer:
        return Answer(200, self.document(sent.query))


NO_META = object()


def walk(listing: Listing, sizes: Any) -> list[tuple[int, list[str]]]:
    """List to the end with the binding itself; return each page's wanted size and what came."""
    pages = []
    token = ""
    while True:
        size = next(sizes)
        call = LIST_QUEUES.prepare(ListQueuesRequest(page_size=size, page_token=token))
        assert call.page is not None
        body = Answer(200, listing.document(dict(call.page.query()))).encoded()
        response: Any = LIST_QUEUES.finish(call, body)
        pages.append((size, [queue.id for queue in response.queues]))
        token = response.next_page_token
        if not token:
            return pages


def everything(listing: Listing) -> list[str]:
    return [str(it) for it in range(listing.items)]


# What a provider may say of a list instead of the truth, without it being short for that.
UNTOLD = {
    "no meta": lambda truth: NO_META,
    "null": lambda truth: None,
    "a list": lambda truth: [],
    "a string": lambda truth: "meta",
    "an empty object": lambda truth: {},
    "total_pages null": lambda truth: {**truth, "total_pages": None},
    "total_pages missing": lambda truth: {"page_size": truth["page_size"]},
    "total_pages digits": lambda truth: {**truth, "total_pages": str(truth["total_pages"])},
    "total_pages a float": lambda truth: {**truth, "total_pages": float(truth["total_pages"])},
    "total_pages a fraction": lambda truth: {**truth, "total_pages": 2.5},
    "total_pages negative": lambda truth: {**truth, "total_pages": -1},
    "total_pages zero": lambda truth: {**truth, "total_pages": 0},
    "total_pages true": lambda truth: {"total_pages": True},
    "total_pages a word": lambda truth: {"total_pages": "many"},
    "total_pages too few": lambda truth: {**truth, "total_pages": 1},
    "total_results too few": lambda truth: {"page_size": truth["page_size"], "total_results": 0},
    "only total_results": lambda truth: {"total_results": truth["total_results"]},
    "total_pages beyond every list": lambda truth: {"total_pages": 10**30},
    "page_size wrong": lambda truth: {"page_size": 1},
    "all digits": lambda truth: {name: str(value) for name, value in truth.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("says", UNTOLD.values(), ids=UNTOLD)
@settings(max_examples=25)
@given(items=st.integers(0, 100), size=st.integers(0, 50), size_max=st.sampled_from([250, 30]))
@example(items=3, size=2, size_max=250)  # what is said first goes with what is sent on page 2
def test_a_list_is_never_short_whatever_the_provider_says_of_it(
    says: Any, items: int, size: int, size_max: int
) -> None:
    listing = Listing(items, size_max, says=says)

    pages = walk(listing, iter(lambda: size, None))

    assert [it for _, page in pages for it in page] == everything(listing)


@settings(max_examples=100)
@given(
    st.integers(0, 600),
    st.lists(st.integers(0, 260), min_size=1, max_size=12),
    st.sampled_from([250, 100, 20, 7]),
    st.data(),
)
@example(600, [100, 100, 200, 200], 100, None)
@example(600, [10, 27, 5, 27], 20, None)
def test_each_page_may_have_another_size(
    items: int, sizes: list[int], size_max: int, data: Any
) -> None:
    """Also where the provider makes its pages smaller than it is asked to."""
    says = data and data.draw(st.sampled_from([None, *UNTOLD.values()]))
    listing = Listing(items, size_max, default=min(20, size_max), says=says)
    # The last of them is small enough to come to an end and large enough to do so soon.
    given_sizes = iter([*sizes, *[50] * 2_000])

    pages = walk(listing, given_sizes)

    assert [it for _, page in pages for it in page] == everything(listing)
    assert all(len(page) <= min(size, 250) for size, page in pages if size)


@settings(max_examples=200)
@given(
    st.integers(0, 300),
    st.lists(st.integers(0, 60), min_size=1, max_size=12),
    st.sampled_from([(20,), (10, 25, 50), (50, 100, 250), (7,)]),
)
@example(21, [0, 1], (20,))
@example(45, [10, 2], (10, 25, 50))
def test_nothing_is_lost_where_the_provider_has_sizes_of_its_own(
    items: int, sizes: list[int], made: tuple[int, ...]
) -> None:
    listing = Listing(items, sizes=made)

    pages = walk(listing, iter([*sizes, *[50] * 2_000]))

    assert [it for _, page in pages for it in page] == everything(listing)


def test_a_short_page_is_not_the_last_if_the_provider_counts_more() -> None:
    page = RequestedPage(1, 10, 0, 10, b"")

    assert page.read(3, {"page_size": 10, "total_results": 45})[1]
    assert not page.read(3, {"page_size": 10, "total_results": 3})[1]


def test_a_size_that_the_provider_does_not_make_costs_one_page_without_items() -> None:
    listing = Listing(600, size_max=20)

    pages = walk(listing, iter([10, 27, *[27] * 100]))

    assert [len(page) for _, page in pages][:5] == [10, 0, 10, 20, 20]
    assert sum(not page for _, page in pages) == 1


def test_a_list_that_goes_on_beyond_every_page_number_is_an_error_and_no_end() -> None:
    page = RequestedPage(PAGE_NUMBER_MAX, 20, 0, 20, b"")

    with pytest.raises(MismatchError, match=f"at most {PAGE_NUMBER_MAX} pages"):
        page.read(20, {"page_size": 20})


@settings(max_examples=30)
@given(st.integers(1, 250), st.integers(50, 250))
def test_a_larger_size_is_not_paid_for_in_small_pages(first: int, second: int) -> None:
    listing = Listing(3_000)

    pages = walk(listing, iter([first, *[second] * 2_000]))

    assert [it for _, page in pages for it in page] == everything(listing)
    # At worst each page begins behind half of the largest that the provider gives.
    assert len(pages) <= 2 + 3_000 / min(second, 125)


def test_a_provider_that_contradicts_itself_about_its_pages_is_not_believed() -> None:
    page = RequestedPage(2, 10, 0, 10, b"", _is_exact=True)

    with pytest.raises(MismatchError, match=r"meta\.page_size"):
        page.read(5, {"page_size": 20, "total_pages": 9})


def test_a_page_of_far_more_items_than_anybody_asks_for_is_an_error() -> None:
    call = LIST_QUEUES.prepare(ListQueuesRequest())
    most = Answer(200, {"data": [{}] * ITEMS_MAX}).encoded()
    response: Any = LIST_QUEUES.finish(call, most)
    assert len(response.queues) == ITEMS_MAX

    with pytest.raises(MismatchError, match="at most 1000 items"):
        LIST_QUEUES.finish(call, Answer(200, {"data": [{}] * (ITEMS_MAX + 1)}).encoded())


def test_the_issues_list_comes_whole_over_grpc(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = listing = Listing(45, says=UNTOLD["total_pages null"])
    found, token = [], ""
    while True:
        page = gateway.queues.ListQueues(ListQueuesRequest(page_token=token))
        found += [queue.id for queue in page.queues]
        token = page.next_page_token
        if not token:
            break

    assert found == everything(listing)
    assert page.total_size == 45


@pytest.mark.parametrize("says", [None, UNTOLD["no meta"], UNTOLD["total_pages null"]])
def test_a_watched_conference_has_all_its_participants(
    gateway: RunningGateway, provider: RecordingProvider, says: Any
) -> None:
    listing = Listing(610, says=says)

    def answer(sent: SentRequest) -> Answer:
        if not sent.path.endswith("/participants"):
            return Answer(200, {"data": {"id": "c1", "name": "n", "status": "in_progress"}})
        document = listing.document(sent.query)
        for item in document["data"]:
            item |= {"call_control_id": f"v3:{item['id']}", "status": "joined"}
        return Answer(200, document)

    provider.answer = answer

    stream = gateway.events.WatchConference(WatchConferenceRequest(conference_id="c1"), timeout=20)
    first = next(iter(stream))
    stream.cancel()

    assert len(first.snapshot.participants) == 610


@pytest.mark.slow
def test_a_list_of_participants_without_an_end_is_given_up(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    def answer(sent: SentRequest) -> Answer:
        if not sent.path.endswith("/participants"):
            return Answer(200, {"data": {"id": "c1", "status": "in_progress"}})
        return Answer(200, {"data": [{"id": "p"}]})

    provider.answer = answer

    failure = failure_of(
        gateway.events.WatchConference, WatchConferenceRequest(conference_id="c1"), timeout=20
    )

    assert (failure.code.name, failure.info.reason) == ("INTERNAL", "UPSTREAM_UNREADABLE_RESPONSE")
    assert "more than 100 pages" in failure.message


@pytest.mark.parametrize(
    ("meta", "total"),
    [
        ({"total_pages": 1, "total_results": 30}, 30),
        ({"total_pages": 1, "total_results": 2**31}, 2**31 - 1),
        ({"total_pages": "1", "total_results": "30"}, 30),
        ({"total_pages": 1, "total_results": None}, 0),
        ({"total_pages": 1, "total_results": -3}, 0),
        ({}, 0),
        (None, 0),
        ([], 0),
    ],
)
def test_a_page_is_never_lost_for_its_totals(
    gateway: RunningGateway, provider: RecordingProvider, meta: Any, total: int
) -> None:
    provider.answer = Answer(200, {"data": [{"id": "q"}], "meta": meta})

    page = gateway.queues.ListQueues(ListQueuesRequest())

    assert [queue.id for queue in page.queues] == ["q"]
    assert page.total_size == total
