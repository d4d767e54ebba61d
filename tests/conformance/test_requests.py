"""The requests that the gateway sends are those that the provider's own SDK sends.

Random requests for all operations go out twice, by the SDK and through the gateway over gRPC,
to one server. Method, path with its escapes, query and body must be the same; so must be the
authorisation and, where there is a body, its type.

Queries are compared as names and values: the raw texts differ only in the order of the parameters,
not in their escaping.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import telnyx
from hypothesis import strategies as st

from gateway.schema.binding import compile_services
from gateway.schema.services import COMMAND_SERVICES
from tests.conformance.coverage import (
    parameters_given,
    parameters_in,
    places_in,
    places_set,
)
from tests.conformance.repeatable import run_examples
from tests.conformance.request_strategies import requests
from tests.conformance.rpcs import RPCS, Rpc
from tests.conformance.sdk_calls import CALLS, parameters_of, sdk_method
from tests.conformance.sdk_values import arguments_of
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider, SentRequest

# Where the gateway means to differ, and why.
DIFFERENCES = {
    "command_id": "made by the gateway when the caller gives none, so that a repeat is harmless",
}

# The pages of a list are asked for with `page_token` here and `page_number` there: a test of
# their own compares them.
PAGING = {"page_token", "page_number"}

# How many random requests are compared for an RPC: the more there is to set, the more.
PER_PLACE = 10
PAIRS_MIN = 30
PAIRS_MIN_IN_ALL = 3_000

BINDINGS = {binding.name: binding for binding in compile_services(COMMAND_SERVICES)}

LISTS = [rpc for rpc in RPCS if rpc.is_paged]


@dataclass
class Comparison:
    """Compares single requests; what has been compared is known afterwards."""

    gateway: RunningGateway
    sdk: telnyx.Telnyx
    wire: RecordingProvider
    pairs: int = 0
    places: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)

    def compare(self, rpc: Rpc, request: Any, page_number: int | None = None) -> Any:
        """Send a request both ways and return the gateway's answer.

        The page that the request's token stands for is given to the SDK by its number.
        """
        self.wire.requests.clear()
        arguments = arguments_of(rpc.name, request)
        if page_number is not None:
            arguments["page_number"] = page_number
        sdk_method(self.sdk, rpc.name)(**arguments)
        theirs = self.wire.take()
        answer = rpc.call(self.gateway, request)
        ours = self.wire.take()
        assert seen(ours, without_made_id(ours, request)) == seen(theirs, theirs.body)
        self.pairs += 1
        self.places |= places_set(request)
        self.parameters |= parameters_given(arguments, parameters_of(rpc.name))
        return answer


def seen(sent: SentRequest, body: Any) -> dict[str, Any]:
    """What must be equal. JSON is compared as text, for which 1, 1.0 and true are not the same."""
    return {
        "method": sent.method,
        "path": sent.path,
        "query": sent.query_items,
        "body": json.dumps(body, sort_keys=True),
        "authorization": sent.headers["authorization"],
        "content-type": sent.headers["content-type"] if sent.raw_body else "",
    }


def without_made_id(sent: SentRequest, request: Any) -> Any:
    """Return the gateway's body without its only intended difference."""
    (made,) = DIFFERENCES
    if made not in request.DESCRIPTOR.fields_by_name or getattr(request, made):
        return sent.body
    body = dict(sent.body)
    uuid.UUID(body.pop(made))
    return body


@pytest.fixture(scope="module")
def compared(
    conforming: RunningGateway, sdk: telnyx.Telnyx, open_wire: RecordingProvider
) -> Callable[[Rpc], Comparison]:
    """Compares random requests for an RPC, once however often it is asked for."""
    finished: dict[str, Comparison] = {}

    def compare(rpc: Rpc) -> Comparison:
        if rpc.name not in finished:
            comparison = Comparison(conforming, sdk, open_wire)
            open_wire.answer = Answer(body={"data": [] if rpc.is_paged else {}})

            def check(request: Any) -> None:
                comparison.compare(rpc, request)

            places = places_in(rpc.request) - PAGING
            run_examples(rpc.name, max(PAIRS_MIN, PER_PLACE * len(places)), check, requests(rpc))
            # What chance has left out is put in.
            for place in sorted(places - comparison.places):
                run_examples(f"{rpc.name} {place}", 2, check, requests(rpc, place))
            finished[rpc.name] = comparison
        return finished[rpc.name]

    return compare


def test_every_rpc_has_a_method_of_the_sdk() -> None:
    assert [rpc.name for rpc in RPCS] == list(CALLS)
    assert len(set(CALLS.values())) == len(CALLS)


@pytest.mark.parametrize("rpc", RPCS, ids=lambda it: it.name)
def test_the_gateway_sends_what_the_sdk_sends(
    compared: Callable[[Rpc], Comparison], rpc: Rpc
) -> None:
    assert compared(rpc).pairs >= PAIRS_MIN


@pytest.mark.parametrize("rpc", RPCS, ids=lambda it: it.name)
def test_every_field_and_every_value_of_an_enum_has_been_sent(
    compared: Callable[[Rpc], Comparison], rpc: Rpc
) -> None:
    assert places_in(rpc.request) - compared(rpc).places - PAGING == set()


@pytest.mark.parametrize("rpc", RPCS, ids=lambda it: it.name)
def test_every_parameter_of_the_sdk_has_been_given(
    compared: Callable[[Rpc], Comparison], rpc: Rpc
) -> None:
    assert parameters_in(parameters_of(rpc.name)) - compared(rpc).parameters - PAGING == set()


@pytest.mark.parametrize("rpc", RPCS, ids=lambda it: it.name)
def test_a_pointer_to_a_parameter_of_the_sdk_means_the_field_that_it_is_made_of(rpc: Rpc) -> None:
    binding = BINDINGS[rpc.name]
    request = rpc.smallest_request()
    for name in rpc.path_fields:
        setattr(request, name, f"the {name}")
    arguments = arguments_of(rpc.name, request)

    for name in parameters_of(rpc.name):
        path = binding.field_at(f"/{name}", request)
        assert path in rpc.request.fields_by_name
        if name in arguments and isinstance(arguments[name], str) and path in rpc.path_fields:
            assert getattr(request, path) == arguments[name]


def test_thousands_of_requests_have_been_compared(compared: Callable[[Rpc], Comparison]) -> None:
    assert sum(compared(rpc).pairs for rpc in RPCS) >= PAIRS_MIN_IN_ALL


@pytest.mark.parametrize("rpc", LISTS, ids=lambda it: it.name)
def test_a_token_asks_for_the_page_that_the_sdk_asks_for_by_number(
    conforming: RunningGateway, sdk: telnyx.Telnyx, open_wire: RecordingProvider, rpc: Rpc
) -> None:
    comparison = Comparison(conforming, sdk, open_wire)

    def walk(request: Any, pages: int) -> None:
        open_wire.answer = Answer(
            body={"data": [], "meta": {"page_number": 1, "total_pages": pages}}
        )
        request.page_token = comparison.compare(rpc, request).next_page_token
        for number in range(2, pages + 1):
            answer = comparison.compare(rpc, request, page_number=number)
            request.page_token = answer.next_page_token
        assert request.page_token == ""

    run_examples(f"pages of {rpc.name}", 20, walk, requests(rpc), st.integers(2, 4))

    assert comparison.parameters >= {"page_size", "page_number"}
