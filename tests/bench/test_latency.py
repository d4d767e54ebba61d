"""The bench's added latency: what it compares with, and what it refuses to publish."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from bench import results
from bench.callers.transport import TransportCaller
from bench.calls import CALLS, UnaryCall
from bench.figures import ImpossibleFigureError, refuse_impossible
from bench.latency import Duration, Latency
from bench.results import NUMBERS_FILE, TABLES_FILE, Section, write_results
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider

FOLDER = Path(results.__file__).parent


@pytest.mark.parametrize("call", CALLS.values(), ids=lambda it: it.name)
def test_the_direct_call_is_the_gateways_own_request(
    loop: LoopThread, gateway: RunningGateway, provider: RecordingProvider, call: UnaryCall
) -> None:
    """Header for header, in the order in which the client library writes them."""
    provider.answer = Answer(body=call.answer)
    method: Any = gateway.channel.unary_unary(call.rpc_path)
    method(call.request.SerializeToString(), timeout=20)

    async def ask_directly() -> None:
        caller = TransportCaller(provider.base_url)
        await caller.call(call)
        await caller.close()

    loop.run(ask_directly())

    sent, directly = provider.requests
    assert (directly.method, directly.path, directly.query) == (sent.method, sent.path, sent.query)
    assert directly.body == sent.body
    assert list(directly.headers) == list(sent.headers)


def test_a_way_shorter_than_its_parts_is_refused() -> None:
    gateway, direct, echo = (Duration(it, 2 * it) for it in (0.00188, 0.00134, 0.00080))

    with pytest.raises(ImpossibleFigureError, match=r"took 1\.880 ms, less than .*1\.340 .*0\.800"):
        Latency(gateway=gateway, direct=direct, echo=echo)

    assert Latency(gateway=gateway, direct=echo, echo=echo).added_beyond_grpc_s > 0


@pytest.mark.parametrize("figure", [-0.26, 0.0, math.nan, math.inf])
def test_a_figure_that_cannot_be_is_not_written(tmp_path: Path, figure: float) -> None:
    with pytest.raises(ImpossibleFigureError, match="unary_added_ms = "):
        write_results(Section("unary", {"fine": 1.0, "unary_added_ms": figure}, "table"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_is_committed_can_be() -> None:
    numbers = json.loads((FOLDER / NUMBERS_FILE).read_text())
    refuse_impossible(numbers)

    shares = re.findall(r"\| (-?[\d.]+) ms \|", (FOLDER / TABLES_FILE).read_text())
    assert shares
    assert all(float(it) > 0 for it in shares)


def test_what_is_committed_lies_where_the_docs_say() -> None:
    numbers = json.loads((FOLDER / NUMBERS_FILE).read_text())
    told = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \(([\d.]+) to ([\d.]+)\) \|",
        (FOLDER.parent / "docs" / "speed.md").read_text(),
        re.MULTILINE,
    )

    assert {name for name, *_ in told} == {it for it in numbers if it.startswith("unary_")}
    for name, figure, low, high in told:
        decimals = len(figure.partition(".")[2])
        assert f"{numbers[name]:.{decimals}f}" == figure, name
        assert float(low) <= float(figure) <= float(high), name
