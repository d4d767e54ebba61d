"""Reading a conference: pages, retries, failures, and who shares what was read."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from conferencing.v1.common_pb2 import REGION_UNSPECIFIED
from gateway.conference.errors import ConferenceError, EndlessListError, TooBusyError
from gateway.conference.fair_queue import Rank
from gateway.conference.reader import ConferenceReader, ConferenceRef, Priority
from tests.conference.fakes import PlainProvider, RefusedError
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

T = TypeVar("T")

REF = ConferenceRef("c1", REGION_UNSPECIFIED)
PROMPT = Priority("flow", Rank.PROMPT)
PER_S = 10


def run(provider: PlainProvider, coroutine: Any) -> Any:
    async def read() -> Any:
        reader = ConferenceReader(provider, 100, PER_S, virtual_now)
        try:
            return await coroutine(reader)
        finally:
            await reader.close()

    story: Coroutine[Any, Any, Any] = read()
    return run_in_virtual_time(story)


def test_everybody_is_found_however_many_pages_they_take() -> None:
    provider = PlainProvider()
    provider.page_size = 3
    for number in range(8):
        provider.seat(f"call-{number}")

    found = run(provider, lambda reader: reader.read(REF, 0, PROMPT))

    assert found.conference.id == "c1"
    assert [it.call_control_id for it in found.participants] == [f"call-{it}" for it in range(8)]
    assert provider.pages_asked == 3


def test_a_list_without_an_end_is_given_up() -> None:
    provider = PlainProvider()
    provider.takes_s = 0
    provider.is_endless = True

    with pytest.raises(EndlessListError, match="has more than 100 pages"):
        run(provider, lambda reader: reader.read(REF, 0, PROMPT))

    assert provider.pages_asked == 100


def test_a_failure_is_everybodys_who_waits_and_nobodys_who_comes_later() -> None:
    provider = PlainProvider()
    provider.refuses = True

    async def story(reader: ConferenceReader) -> None:
        assert set(reader.failures) == {ConferenceError, RefusedError}
        both = [reader.read(REF, 0, PROMPT), reader.read(REF, 0, PROMPT)]
        ends = await asyncio.gather(*both, return_exceptions=True)
        assert [type(it) for it in ends] == [RefusedError, RefusedError]
        assert len(provider.asked) == 1
        provider.refuses = False
        assert (await reader.read(REF, 0, PROMPT)).conference.id == "c1"

    run(provider, story)


def test_what_one_does_to_a_response_is_not_seen_by_another() -> None:
    provider = PlainProvider()
    provider.seat("alice")

    async def story(reader: ConferenceReader) -> None:
        mine, yours = await asyncio.gather(reader.read(REF, 0, PROMPT), reader.read(REF, 0, PROMPT))
        mine.conference.name = "mine"
        mine.participants[0].muted = True
        assert (yours.conference.name, yours.participants[0].muted) == ("", False)
        assert len(provider.asked) == 1

    run(provider, story)


def test_what_was_sent_again_puts_off_those_who_come_after() -> None:
    """Also if it failed in the end."""
    provider = PlainProvider()
    provider.takes_s = 0
    provider.refuses = True
    provider.retries = PER_S * 10

    async def story(reader: ConferenceReader) -> None:
        with pytest.raises(RefusedError):
            await reader.read(REF, 0, PROMPT)
        impatient = Priority("flow", Rank.PROMPT, 0.1)
        with pytest.raises(TooBusyError):
            await reader.read(ConferenceRef("c2", REGION_UNSPECIFIED), 0, impatient)
        assert len(provider.asked) == 1

    run(provider, story)
