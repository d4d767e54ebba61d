"""The gateway reads every answer that the provider's own SDK describes, and loses nothing of it.

Random answers to all operations are made from the SDK's response models, served to the gateway
and compared with what came back over gRPC. Timestamps are compared as instants to the microsecond,
which is as far as Python's own reader goes, and texts of enums by their likeness to the values.
What was not served must not be set.
"""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from gateway.schema.pages import PAGE_NUMBER_MAX
from tests.conformance.decoded import expected, found, places_in, places_served
from tests.conformance.repeatable import run_examples
from tests.conformance.rpcs import RPCS, Rpc
from tests.conformance.sdk_calls import answer_of, result_of
from tests.conformance.sdk_strategies import Documents
from tests.conformance.sdk_types import model_in
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider

# How many random answers of each kind an operation gets, in each of the two ages.
RESOURCES = 25
PAGES = 15
RESULTS = 5

SINGLE = [rpc for rpc in RPCS if rpc.result_field is not None and not rpc.is_paged]
PAGED = [rpc for rpc in RPCS if rpc.is_paged]
COMMANDS = [rpc for rpc in RPCS if rpc.result_field is None]

Ask = Callable[[Rpc], Any]

both_ages = pytest.mark.parametrize(
    "documents", [Documents(), Documents(newer=True)], ids=["known", "newer"]
)


def is_word(hint: Any) -> bool:
    """Tell whether the SDK reads no more than how a command went, or nothing."""
    model = None if hint is None else model_in(hint)
    return model is None or set(model.model_fields) == {"result"}


def each(rpcs: list[Rpc]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rpc", rpcs, ids=[rpc.name for rpc in rpcs])


@pytest.fixture
def ask(conforming: RunningGateway, wire: RecordingProvider) -> Ask:
    """Ask the gateway, which gets its answer from the wire."""

    def ask(rpc: Rpc) -> Any:
        answer = rpc.call(conforming, rpc.smallest_request())
        wire.take()
        return answer

    return ask


def test_an_rpc_returns_a_resource_where_the_sdk_does() -> None:
    words = [rpc for rpc in RPCS if is_word(result_of(rpc.name))]

    assert SINGLE
    assert PAGED
    assert words == COMMANDS


@both_ages
@each(SINGLE)
def test_nothing_of_a_resource_is_lost(
    ask: Ask, wire: RecordingProvider, rpc: Rpc, documents: Documents
) -> None:
    model = model_in(result_of(rpc.name))
    served: set[str] = set()

    def check(document: Any) -> None:
        wire.answer = Answer(body={"data": document})
        resource = getattr(ask(rpc), rpc.result_field.name)
        assert found(resource) == expected(rpc.result_field.message_type, document, model)
        served.update(places_served(document, model))
        if not documents.newer:
            model.model_validate(document)

    run_examples(f"{rpc.name} {documents}", RESOURCES, check, documents.of(model))
    # What chance has left out is put in.
    for place in sorted(places_in(model) - served):
        run_examples(f"{rpc.name} {documents} {place}", 2, check, documents.of(model, place))
    assert places_in(model) - served == set()


@both_ages
@each(PAGED)
def test_nothing_of_a_page_is_lost(
    ask: Ask, wire: RecordingProvider, rpc: Rpc, documents: Documents
) -> None:
    model = model_in(result_of(rpc.name))
    meta = model_in(answer_of(rpc.name).model_fields["meta"].annotation)
    served: set[str] = set()

    def check(items: list[Any], meta: dict[str, Any], total: int) -> None:
        # The SDK does not look at the total, which the provider gives beside the pages.
        wire.answer = Answer(body={"data": items, "meta": {**meta, "total_results": total}})
        answer = ask(rpc)
        wanted = [expected(rpc.result_field.message_type, item, model) for item in items]
        assert [found(it) for it in getattr(answer, rpc.result_field.name)] == wanted
        assert answer.total_size == total
        assert answer.HasField("unreadable") == (meta["total_pages"] < 0)
        # A number of pages that the items contradict is not believed.
        told = 1 < meta["total_pages"] <= PAGE_NUMBER_MAX
        goes_on = told or (meta["total_pages"] != 1 and bool(items))
        assert bool(answer.next_page_token) == goes_on
        for item in items:
            served.update(places_served(item, model))
            if not documents.newer:
                model.model_validate(item)

    metas, totals = documents.of(meta), st.integers(0, 2**31 - 1)
    items = st.lists(documents.of(model), max_size=4)
    run_examples(f"{rpc.name} {documents}", PAGES, check, items, metas, totals)
    for place in sorted(places_in(model) - served):
        items = st.lists(documents.of(model, place), min_size=1, max_size=2)
        run_examples(f"{rpc.name} {documents} {place}", 2, check, items, metas, totals)
    assert places_in(model) - served == set()


@pytest.mark.parametrize("document", [{"data": []}, {"data": [], "meta": None}])
@each(PAGED)
def test_a_page_needs_no_meta(ask: Ask, wire: RecordingProvider, rpc: Rpc, document: Any) -> None:
    wire.answer = Answer(body=document)

    assert ask(rpc) == GetMessageClass(rpc.response)()


@both_ages
@each(COMMANDS)
def test_the_word_on_a_command_is_passed_on(
    ask: Ask, wire: RecordingProvider, rpc: Rpc, documents: Documents
) -> None:
    hint = result_of(rpc.name)
    if hint is None:
        wire.answer = Answer(204, None)
        assert ask(rpc).receipt.result == ""
        return
    model = model_in(hint)

    def check(document: Any, data_or_not: str) -> None:
        answers: dict[str, Any] = {"data": {"data": document}, "null": {"data": None}, "": {}}
        wire.answer = Answer(body=answers[data_or_not])
        given = document.get("result") if data_or_not == "data" else None
        assert ask(rpc).receipt.result == (given or "")
        if not documents.newer:
            model.model_validate(document)

    run_examples(
        f"{rpc.name} {documents}",
        RESULTS,
        check,
        documents.of(model),
        st.sampled_from(["data", "null", ""]),
    )
