"""The provider's delivery log: what is asked for, and answers of any shape."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.deliveries import ROWS_MAX, DeliveriesPage, DeliveriesRequest, ListDeliveries
from tests.harness import odd_json

OPERATION = ListDeliveries()
META = {"page_number": 1, "page_size": 100, "total_pages": 1, "total_results": 1}
WEBHOOK = {"id": "event-1", "event_type": "call.enqueued", "payload": {"queue": "café"}}


def attempt(url: str) -> dict[str, Any]:
    return {"http": {"request": {"url": url, "headers": []}, "response": None}, "errors": [10008]}


def answered(document: Any) -> DeliveriesPage:
    call = OPERATION.prepare(DeliveriesRequest(0, 1))
    return OPERATION.finish(call, json.dumps(document).encode())


def test_a_span_of_time_is_asked_for_to_the_microsecond() -> None:
    call = OPERATION.prepare(DeliveriesRequest(1_800_000_000_000_001, 1_800_000_060_500_000, 3))

    path, _, query = call.path.partition("?")
    assert (call.method, path) == ("GET", "/webhook_deliveries")
    assert dict(parse_qsl(query)) == {
        "filter[started_at][gte]": "2027-01-15T08:00:00.000001Z",
        "filter[started_at][lte]": "2027-01-15T08:01:00.500000Z",
        "page[number]": "3",
        "page[size]": "50",
    }


def test_failures_alone_can_be_asked_for() -> None:
    call = OPERATION.prepare(DeliveriesRequest(0, 1, failed_only=True))

    assert dict(parse_qsl(call.path))["filter[status][eq]"] == "failed"


def test_a_delivery_is_read_with_its_webhook_as_it_was_posted() -> None:
    row = {
        "id": "delivery-1",
        "started_at": "2027-01-15T08:00:00Z",
        "attempts": [attempt("https://a.example/x"), attempt("https://b.example/y")],
        "webhook": WEBHOOK,
    }

    (delivery,) = answered({"data": [row], "meta": META}).deliveries

    assert delivery.id == "delivery-1"
    assert delivery.started_at_us == 1_800_000_000_000_000
    assert sorted(delivery.urls or ()) == ["https://a.example/x", "https://b.example/y"]
    assert json.loads(delivery.webhook) == {"data": WEBHOOK}


@pytest.mark.parametrize(
    "row",
    [
        {"webhook": WEBHOOK},
        {"webhook": WEBHOOK, "attempts": None, "started_at": None},
        {"webhook": WEBHOOK, "attempts": [{}, None, {"http": None}], "started_at": "yesterday"},
    ],
)
def test_a_webhook_is_kept_whatever_else_is_missing(row: Any) -> None:
    (delivery,) = answered({"data": [row], "meta": META}).deliveries

    assert (delivery.urls, delivery.started_at_us) == (None, 0)


@pytest.mark.parametrize("row", [None, [], {}, {"webhook": None}, {"webhook": "text"}])
def test_what_has_no_webhook_is_left_out(row: Any) -> None:
    assert answered({"data": [row], "meta": META}).deliveries == ()


def test_the_number_of_pages_is_told_and_none_where_nothing_is() -> None:
    assert answered({"data": [{}], "meta": {"total_pages": 7}}).pages == 7
    assert answered({"data": [], "meta": {"total_pages": 7}}).pages == 0


def test_what_nobody_can_write_is_left_out() -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    row = {"webhook": {"id": "event-1", "payload": deep}}

    assert answered({"data": [row, {"webhook": WEBHOOK}], "meta": META}).deliveries[0].webhook


@pytest.mark.parametrize("number", ["1e3", "1.50", "9007199254740993.0", "1e-400", "9" * 30])
def test_a_webhook_keeps_its_numbers_as_they_were_written(number: str) -> None:
    webhook = f'{{"id": {number}, "event_type": "x", "payload": {{"a": [{number}]}}}}'
    body = f'{{"data": [{{"id": "delivery-1", "webhook": {webhook}}}], "meta": null}}'

    page = OPERATION.finish(OPERATION.prepare(DeliveriesRequest(0, 1)), body.encode())

    assert page.deliveries[0].webhook == f'{{"data":{webhook}}}'.encode()


@pytest.mark.slow
@given(st.lists(odd_json.values, max_size=5), odd_json.values, st.data())
def test_a_delivery_is_found_whatever_stands_beside_it(
    others: list[str], answer: str, data: st.DataObject
) -> None:
    raw = '{"id": "event-1", "event_type": "x", "payload": {"a": "caf\u00e9 \\ud83d", "b": 1e999}}'
    attempts = f'[{{"http": {{"request": {{"url": "https://a"}}, "response": {answer}}}}}]'
    good = f'{{"attempts": {attempts}, "webhook": {raw}, "id": "delivery-1"}}'
    rows = data.draw(st.permutations([*others, good]))
    body = f'{{"data": [{", ".join(rows)}], "meta": {{"total_pages": 1}}}}'

    page = OPERATION.finish(
        OPERATION.prepare(DeliveriesRequest(0, 1)), odd_json.surrogates_apart(body)
    )

    assert (page.rows, page.pages) == (len(rows), 1)
    (found,) = [it for it in page.deliveries if it.id == "delivery-1"]
    assert sorted(found.urls or ()) == ["https://a"]
    assert found.webhook == f'{{"data":{raw}}}'.encode()


@given(st.integers(1, 2_000))
def test_a_page_that_is_cut_off_is_an_error_not_a_short_page(cut: int) -> None:
    body = json.dumps({"data": [{"webhook": WEBHOOK}] * 9, "meta": META}).encode()

    with pytest.raises(ValueError, match=r"\w"):
        OPERATION.finish(OPERATION.prepare(DeliveriesRequest(0, 1)), body[: -min(cut, len(body))])


@pytest.mark.parametrize(
    ("said", "pages"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        (None, None),
        ("many", None),
        (-1, None),
        (True, None),
        ([], None),
    ],
)
def test_the_number_of_pages_is_read_in_any_form_or_not_known(said: Any, pages: int | None) -> None:
    assert answered({"data": [{}], "meta": {"total_pages": said}}).pages == pages
    assert answered({"data": [{}], "meta": None}).pages is None


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"data": {}, "meta": META}, {"data": None}, {"data": None, "meta": META}],
)
def test_an_answer_of_another_shape_is_an_error_not_an_empty_page(document: Any) -> None:
    with pytest.raises(ValueError, match=r"does not start|an array"):
        answered(document)


def test_a_page_of_far_more_rows_than_were_asked_for_is_an_error() -> None:
    assert answered({"data": [{}] * ROWS_MAX, "meta": META}).pages == 1

    with pytest.raises(ValueError, match="at most 1000 rows"):
        answered({"data": [{}] * (ROWS_MAX + 1), "meta": META})
