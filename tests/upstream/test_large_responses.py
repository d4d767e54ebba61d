"""Large responses: checked and decoded beside the event loop, and counted while they are."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from conferencing.v1.queue_service_pb2 import ListQueuesRequest
from gateway.aside import LARGE_BYTES, Aside
from gateway.bytebudget import ByteBudget
from gateway.deadline import Deadline
from gateway.schema.lenient_json import VALUES_MAX
from gateway.schema.services import COMMAND_SERVICES
from gateway.upstream.bound import operations_of
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpRequest, HttpResponse
from gateway.upstream.transports.scrubbing import ScrubbedTransport, Scrubber

(LIST_QUEUES,) = [it for it in operations_of(COMMAND_SERVICES) if it.name == "ListQueues"]


class Answering:
    """A transport with one response to everything."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        return HttpResponse(200, {}, self.body)

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


class Watched(Aside):
    """Knows what was done in the thread, and how much the budget held meanwhile."""

    def __init__(self, budget: ByteBudget) -> None:
        super().__init__()
        self.budget = budget
        self.held: list[int] = []

    async def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self.held.append(self.budget.held)
        return await super().run(function, *args, **named)


@pytest.mark.parametrize("beyond", [-1, 0])
def test_a_large_response_is_read_in_a_thread_and_a_small_one_is_not(beyond: int) -> None:
    body = json.dumps({"data": [{"name": "q"}], "meta": {"total_pages": 1}}).encode()
    body += b" " * (LARGE_BYTES - len(body) + beyond)

    async def run() -> None:
        budget = ByteBudget()
        aside = Watched(budget)
        sending = Sending(
            LimitedTransport(Answering(body)),
            RetryPolicy(),
            RetryBudget(),
            random.Random(),
            lambda ended: None,
            aside=aside,
        )
        client = TelnyxClient(sending, "http://provider/v2", "KEY", "test", budget)

        response: Any = await client.call(LIST_QUEUES, ListQueuesRequest(), Deadline.after(20))

        assert [it.name for it in response.queues] == ["q"]
        # To be checked, and to be decoded.
        assert aside.held == ([0, len(body)] if beyond == 0 else [])
        assert budget.held == 0
        await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("beyond", [-1, 0])
def test_secrets_are_looked_for_in_the_thread_where_there_is_much_to_look_at(beyond: int) -> None:
    body = b"of SECRET-KEY".ljust(LARGE_BYTES + beyond)

    async def run() -> None:
        aside = Watched(ByteBudget())
        transport = ScrubbedTransport(Answering(body), Scrubber(["SECRET-KEY"]), aside)

        response = await transport.send(HttpRequest("GET", "http://provider/v2", {}), 20.0)

        assert b"SECRET" not in response.body
        assert len(aside.held) == (beyond == 0)

    asyncio.run(run())


def test_a_response_of_too_many_values_is_not_read() -> None:
    body = b'{"data": [' + b"{}," * (VALUES_MAX + 1) + b"{}]}"

    async def run() -> None:
        budget = ByteBudget()
        sending = Sending(
            LimitedTransport(Answering(body)),
            RetryPolicy(),
            RetryBudget(),
            random.Random(),
            lambda ended: None,
        )
        client = TelnyxClient(sending, "http://provider/v2", "KEY", "test", budget)

        with pytest.raises(UpstreamError, match="at most 200000 values") as failure:
            await client.call(LIST_QUEUES, ListQueuesRequest(), Deadline.after(20))

        assert failure.value.reason is Reason.UPSTREAM_UNREADABLE_RESPONSE
        await client.close()

    asyncio.run(run())
