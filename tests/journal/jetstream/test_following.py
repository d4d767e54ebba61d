"""Following a stream: each gateway's index has what the stream has, and says so when it cannot."""

import asyncio

import pytest

from gateway.journal.errors import LogUnavailableError, OvertakenError
from gateway.journal.events import Entry
from gateway.journal.filter import EVERYTHING
from gateway.journal.lag import Lag
from gateway.journal.reading import Span
from tests.harness.events import new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import IMPATIENT, OpenStream, Streams

pytestmark = with_nats


def _lag(log: OpenStream) -> Lag | None:
    assert log.log.copying is not None
    return log.log.copying.lag


def _fill(log: OpenStream, count: int) -> list[str]:
    ids = [f"e{number}" for number in range(1, count + 1)]
    for start in range(0, count, 200):
        log.append(*[new_event(id_=it) for it in ids[start : start + 200]])
    return ids


def test_every_gateway_is_told_what_any_of_them_stores(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    told: list[Entry] = []
    b.log.index.listen(told.extend)

    ids = _fill(a, 300)

    b.wait(lambda it: it.span == Span(1, 300))
    assert [it.framed.sequence for it in told] == [*range(1, 301)]
    assert sorted(b.ids()) == sorted(ids)
    assert a.ids() == b.ids(), "in one order"
    assert a.log.index.epoch == b.log.index.epoch


def test_it_goes_on_where_the_index_ends(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    _fill(a, 50)
    b.wait(lambda it: it.span == Span(1, 50))
    b.close()
    a.append(new_event(id_="while away"))

    b.open()

    assert b.span == Span(1, 51)
    assert b.ids() == a.ids()


def test_what_another_gateway_has_stored_can_be_waited_for(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    copying = b.log.copying
    assert copying is not None

    for number in range(1, 51):
        a.append(new_event(id_=f"e{number}"))
        streams.loop.run(copying.reach(number, 20.0), 30)
        assert b.span.newest >= number
    # What the stream does not have is not waited for.
    streams.loop.run(copying.reach(51, 1e6), 30)
    assert b.span == Span(1, 50)


def test_what_nobody_can_say_whether_it_is_there_is_no_position_ahead(streams: Streams) -> None:
    b = streams.open("b")
    copying = b.log.copying
    assert copying is not None
    streams.cluster.kill()

    with pytest.raises(LogUnavailableError):
        streams.loop.run(copying.reach(1, 1.0), 60)

    streams.cluster.start()


@pytest.mark.slow
def test_an_empty_index_is_filled(streams: Streams) -> None:
    a = streams.open("a")
    ids = _fill(a, 3_000)

    b = streams.open("b")

    b.wait(lambda it: it.span == Span(1, 3_000))
    assert b.log.copying is not None
    assert b.log.copying.behind == 0
    assert sorted(b.ids()) == sorted(ids)


@pytest.mark.slow
def test_an_index_that_is_being_filled_says_how_far_it_is(streams: Streams) -> None:
    a = streams.open("a")
    a.append(*[new_event() for _ in range(200)])
    # What cannot be read keeps the index behind.
    streams.send(f"{streams.name}.theirs", b"not an event")
    a.append(new_event())

    b = streams.open("b", patience=IMPATIENT)
    lag = _lag(b)
    assert lag is not None
    assert (lag.held, lag.behind) == (202, 202 - b.span.count)
    streams.ask(f"STREAM.MSG.DELETE.{streams.name}", {"seq": 201})

    b.wait(lambda it: _lag(it) is None)
    assert b.span == Span(202, 202)


def test_an_index_is_behind_until_it_has_what_came_while_it_was_cut_off(streams: Streams) -> None:
    log = streams.open()
    log.append(new_event())
    assert _lag(log) is None
    streams.send(f"{streams.name}.theirs", b"not an event")
    log.wait(lambda it: it.log.journal.problem is not None)

    async def try_again() -> None:
        """See it follow the stream again, and fail again."""
        while log.log.journal.problem is not None:  # noqa: ASYNC110 - each moment counts
            await asyncio.sleep(0)
        while log.log.journal.problem is None:
            assert _lag(log) == Lag(1, 2, is_cut_off=False)
            await asyncio.sleep(0)

    streams.loop.run(try_again(), 30)
    assert _lag(log) == Lag(1, 2, is_cut_off=True)


def test_an_index_of_another_stream_is_built_anew(streams: Streams) -> None:
    log = streams.open()
    _fill(log, 5)
    streams.loop.run(log.log.checkpoints.set("name", b"of the first"))
    epoch = log.log.index.epoch
    log.close()
    streams.ask(f"STREAM.DELETE.{streams.name}")

    log.open()

    assert log.span == Span(1, 0)
    assert log.log.index.epoch != epoch
    assert streams.loop.run(log.log.checkpoints.get("name")) is None
    assert log.append(new_event(id_="e1")) == [(1, False)]


def test_an_index_whose_last_event_is_another_is_built_anew(streams: Streams) -> None:
    """As when a stream is restored from a backup, and then goes on in another way."""
    log = streams.open()
    _fill(log, 5)
    config = streams.ask(f"STREAM.INFO.{streams.name}")["config"]
    epoch = log.log.index.epoch
    log.close()
    streams.ask(f"STREAM.DELETE.{streams.name}")
    streams.ask(f"STREAM.CREATE.{streams.name}", config)
    other = streams.open("other")
    other.append(*[new_event(id_=f"other{it}") for it in range(5)])

    log.open()

    log.wait(lambda it: it.log.index.epoch != epoch and it.span == Span(1, 5))
    other.wait(lambda it: it.log.index.epoch == log.log.index.epoch and it.span == Span(1, 5))
    assert log.ids() == other.ids()


def test_an_index_that_is_ahead_of_its_stream_is_built_anew(streams: Streams) -> None:
    log = streams.open()
    _fill(log, 5)
    config = streams.ask(f"STREAM.INFO.{streams.name}")["config"]
    log.close()
    streams.ask(f"STREAM.DELETE.{streams.name}")
    streams.ask(f"STREAM.CREATE.{streams.name}", config)
    streams.open("other").append(new_event(id_="one"))

    log.open()

    log.wait(lambda it: it.span == Span(1, 1))
    assert log.ids() == ["one"]


@pytest.mark.slow
def test_what_the_stream_has_deleted_the_index_drops(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    _fill(a, 10)
    b.wait(lambda it: it.span == Span(1, 10))
    b.close()

    streams.ask(f"STREAM.PURGE.{streams.name}", {"seq": 5})

    a.wait(lambda it: it.span == Span(5, 10))
    assert a.log.journal.span == Span(5, 10)
    b.open()
    assert b.span == Span(5, 10)


def test_an_index_that_was_away_for_longer_than_the_retention_goes_on(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    _fill(a, 5)
    b.wait(lambda it: it.span == Span(1, 5))
    b.close()
    a.append(*[new_event() for _ in range(10)])
    streams.ask(f"STREAM.PURGE.{streams.name}", {"seq": 13})

    b.open()

    assert b.span == Span(13, 15)
    with pytest.raises(OvertakenError):
        streams.loop.run(b.log.index.read(5, EVERYTHING, 10, EVERYTHING))


def test_an_id_comes_again_when_the_stream_has_deleted_its_event(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    a.append(new_event(id_="again"))
    a.append(new_event(id_="kept"))
    b.wait(lambda it: it.span == Span(1, 2))
    streams.ask(f"STREAM.PURGE.{streams.name}", {"seq": 2})

    assert a.append(new_event(id_="again")) == [(3, False)]

    b.wait(lambda it: it.span == Span(2, 3))
    assert b.ids() == ["kept", "again"]


def test_a_hole_in_the_stream_is_a_loss_that_readers_hear_of(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    b.close()
    _fill(a, 10)
    streams.ask(f"STREAM.MSG.DELETE.{streams.name}", {"seq": 4})

    b.open()

    b.wait(lambda it: it.span == Span(5, 10))
    with pytest.raises(OvertakenError) as overtaken:
        streams.loop.run(b.log.index.read(2, EVERYTHING, 10, EVERYTHING))
    assert overtaken.value.oldest == 5


def test_a_message_of_another_program_is_a_problem_that_names_it(streams: Streams) -> None:
    log = streams.open()
    log.append(new_event())

    streams.send(f"{streams.name}.theirs", b"not an event")

    log.wait(lambda it: it.log.journal.problem is not None)
    problem = log.log.journal.problem
    assert problem is not None
    assert f"message 2 of the stream {streams.name}" in problem
    assert log.span == Span(1, 1)


@pytest.mark.slow
def test_following_goes_on_when_the_broker_is_back(own: Streams) -> None:
    a, b = own.open("a"), own.open("b")
    _fill(a, 5)
    b.wait(lambda it: it.span == Span(1, 5))
    (server,) = own.cluster.servers

    assert _lag(b) is None
    server.kill()
    b.wait(lambda it: it.log.journal.problem is not None)
    b.wait(lambda it: _lag(it) == Lag(0, 5, is_cut_off=True))
    assert b.ids() == a.ids(), "what is stored is read on"
    server.restart()
    b.wait(lambda it: it.log.journal.problem is None)
    a.wait(lambda it: it.log.journal.problem is None)
    a.append(new_event())

    b.wait(lambda it: it.span == Span(1, 6))
    assert _lag(b) is None


@pytest.mark.slow
def test_a_closed_log_does_not_wait_for_a_broker_that_is_gone(own: Streams) -> None:
    log = own.open()
    (server,) = own.cluster.servers
    server.hold()

    journal = log.log.journal
    log.close()

    with pytest.raises(LogUnavailableError):
        own.loop.run(journal.append(new_event()))
