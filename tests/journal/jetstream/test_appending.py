"""Appending to a stream: each id once for all gateways, many in one batch, and nothing unsure."""

import asyncio
import base64
from collections.abc import Sequence

import pytest

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended
from gateway.journal.reading import Span
from tests.harness.events import new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import OpenStream, Streams

pytestmark = with_nats


def _headers(streams: Streams, number: int) -> str:
    found = streams.ask(f"STREAM.MSG.GET.{streams.name}", {"seq": number})
    return base64.b64decode(found["message"]["hdrs"]).decode()


def test_what_one_gateway_has_stored_another_refuses_with_its_number(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")

    assert a.append(new_event(id_="x")) == [(1, False)]
    assert b.append(new_event(id_="y")) == [(2, False)]
    assert b.append(new_event(id_="x")) == [(1, True)]
    assert a.append(new_event(id_="y")) == [(2, True)]


def test_an_id_of_any_characters_is_stored_once(streams: Streams) -> None:
    log = streams.open()
    ids = ["a.b", "a b", "*", ">", "é", "=", "a" * 2_000, "A", "a\0\r\n", "=41"]

    first = log.append(*[new_event(id_=it) for it in ids])
    again = log.append(*[new_event(id_=it) for it in ids])

    assert sorted(first) == [(it, False) for it in range(1, len(ids) + 1)]
    assert again == [(it, True) for it, _ in first]
    assert sorted(log.ids()) == sorted(ids)


def test_few_events_go_one_by_one_and_many_in_a_batch(streams: Streams) -> None:
    log = streams.open()

    log.append(*[new_event() for _ in range(5)])
    log.append(*[new_event() for _ in range(200)])

    assert "Nats-Batch-Id" not in _headers(streams, 5)
    assert "Nats-Batch-Id" in _headers(streams, 205)
    assert [(it.events, it.stored, it.succeeded) for it in log.commits] == [
        (5, 5, True),
        (200, 200, True),
    ]


def test_events_of_a_refused_batch_go_one_by_one(streams: Streams) -> None:
    log = streams.open()
    log.append(new_event(id_="known"))

    done = log.append(*[new_event() for _ in range(50)], new_event(id_="known"))

    assert done[-1] == (1, True)
    assert sorted(done[:-1]) == [(it, False) for it in range(2, 52)]
    assert "Nats-Batch-Id" not in _headers(streams, 51)
    assert (log.commits[-1].events, log.commits[-1].stored) == (51, 50)


def test_gateways_that_store_the_same_at_the_same_time_store_it_once(streams: Streams) -> None:
    _store_the_same(streams)


@pytest.mark.slow
def test_so_they_do_with_three_servers(three: Streams) -> None:
    """There, a second event of an id is refused before it is known what becomes of the first."""
    _store_the_same(three, at_a_time=5)


def _store_the_same(streams: Streams, at_a_time: int = 300) -> None:
    logs = [streams.open(name) for name in "ab"]
    ids = [f"e{number}" for number in range(300)]

    async def race() -> Sequence[list[tuple[int, bool]]]:
        async def store(log: OpenStream, order: int) -> list[tuple[int, bool]]:
            done = list[Appended]()
            for start in range(0, len(ids), at_a_time):
                events = [new_event(id_=it) for it in ids[start : start + at_a_time][::order]]
                found = await asyncio.gather(*map(log.log.journal.append, events))
                done += found[::order]
            return [(it.sequence, it.duplicate) for it in done]

        return await asyncio.gather(store(logs[0], 1), store(logs[1], -1))

    first, second = streams.loop.run(race(), 60)

    assert [number for number, _ in first] == [number for number, _ in second]
    assert sorted(number for number, _ in first) == list(range(1, 301))
    assert all(a != b for (_, a), (_, b) in zip(first, second, strict=True)), "one has stored it"
    for log in logs:
        log.wait(lambda it: it.span == Span(1, 300))
        assert sorted(log.ids()) == sorted(ids)


def test_an_event_that_is_too_large_is_told_and_keeps_no_other_out(streams: Streams) -> None:
    log = streams.open()

    with pytest.raises(LogUnavailableError, match="larger than the broker takes"):
        log.append(new_event(raw=b"x" * 1_100_000))

    assert log.log.journal.problem is None
    assert log.append(new_event(raw=b"x" * 900_000)) == [(1, False)]


@pytest.mark.slow
def test_what_is_acknowledged_is_there_after_a_kill(own: Streams) -> None:
    log = own.open()
    done = log.append(*[new_event(id_=f"e{number}") for number in range(100)])
    (server,) = own.cluster.servers

    server.kill()
    server.restart()

    other = own.open("b")
    assert other.span == Span(1, 100)
    assert sorted(done) == [(it, False) for it in range(1, 101)]
    assert sorted(other.ids()) == sorted(f"e{number}" for number in range(100))


@pytest.mark.slow
def test_without_a_broker_events_are_refused_at_once_until_it_is_back(own: Streams) -> None:
    log = own.open()
    log.append(new_event(id_="before"))
    (server,) = own.cluster.servers

    server.kill()
    log.wait(lambda it: it.log.journal.problem is not None)
    with pytest.raises(LogUnavailableError, match="no connection"):
        log.append(new_event(id_="lost"))
    assert log.ids() == ["before"]

    server.restart()
    log.wait(lambda it: it.log.journal.problem is None)
    assert log.append(new_event(id_="before")) == [(1, True)]
    assert log.append(new_event(id_="after")) == [(2, False)]
    assert log.ids() == ["before", "after"]


@pytest.mark.slow
def test_what_is_under_way_when_the_broker_goes_is_not_counted_as_stored(own: Streams) -> None:
    log = own.open()
    (server,) = own.cluster.servers
    server.hold()

    async def append() -> str:
        appending = asyncio.ensure_future(log.log.journal.append(new_event(id_="x")))
        await asyncio.sleep(0.05)  # it is sent
        await asyncio.to_thread(server.kill)
        try:
            await appending
        except LogUnavailableError as error:
            return str(error)
        return "stored"

    assert "was lost" in own.loop.run(append(), 30)
    assert [it.succeeded for it in log.commits] == [False]
    server.restart()
    log.wait(lambda it: it.log.journal.problem is None)
    # Whether it was stored nobody knew; sent again, it is there once.
    assert log.append(new_event(id_="x"))[0][0] == 1
    assert log.ids() == ["x"]


@pytest.mark.slow
def test_a_broker_that_says_nothing_is_an_error_in_time(own: Streams) -> None:
    log = own.open()
    (server,) = own.cluster.servers
    server.hold()

    with pytest.raises(LogUnavailableError, match=r"did not respond|was lost"):
        log.append(new_event())

    assert log.log.journal.problem is not None
    server.go_on()
    log.wait(lambda it: it.log.journal.problem is None)
    assert log.append(new_event(id_="after"))[0][1] is False
