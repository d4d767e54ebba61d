"""What comes at the stream's end is told at once, while the index fills behind."""

import pytest

from gateway.journal.events import Entry
from gateway.journal.jetstream.stream import EPOCH
from gateway.journal.ports import Ahead
from gateway.journal.reading import Span
from tests.harness.events import new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import IMPATIENT, OpenStream, Streams

pytestmark = [with_nats, pytest.mark.slow]


def _ahead(log: OpenStream) -> Ahead:
    assert log.log.ahead is not None
    return log.log.ahead


def _stuck(streams: Streams) -> tuple[OpenStream, OpenStream]:
    """Return a log of two events, and it as a gateway has it whose index cannot get the second."""
    a = streams.open("a")
    a.append(new_event(id_="first"))
    streams.send(f"{streams.name}.theirs", b"not an event")
    return a, streams.open("b", patience=IMPATIENT)


def test_an_index_that_is_up_needs_nobody_ahead(streams: Streams) -> None:
    assert streams.loop.call(_ahead(streams.open()).place) is None


def test_the_end_is_told_as_the_index_will_have_it(streams: Streams) -> None:
    a, b = _stuck(streams)
    ahead = _ahead(b)
    told, indexed = list[Entry](), list[Entry]()
    b.log.index.listen(indexed.extend)

    assert streams.loop.call(ahead.place) == 2
    streams.loop.call(lambda: ahead.begin(told.extend))
    a.append(*[new_event(conference_id=f"c{it}", received_at_us=it) for it in range(10)])
    b.wait(lambda it: len(told) == 10)
    assert ahead.is_told
    assert b.span.newest < 3

    streams.ask(f"STREAM.MSG.DELETE.{streams.name}", {"seq": 2})
    b.wait(lambda it: it.span == Span(3, 12))
    assert told == [it for it in indexed if it.framed.sequence > 2]
    # Once the index has it all, the index alone tells.
    b.wait(lambda it: not ahead.is_told)
    a.append(new_event(id_="later"))
    b.wait(lambda it: it.span == Span(3, 13))
    assert len(told) == 10


def test_what_the_stream_has_lost_is_left_out(streams: Streams) -> None:
    a, b = _stuck(streams)
    ahead = _ahead(b)
    told: list[list[int]] = []
    assert streams.loop.call(ahead.place) == 2
    a.append(*[new_event() for _ in range(5)])
    streams.ask(f"STREAM.MSG.DELETE.{streams.name}", {"seq": 5})

    streams.loop.call(
        lambda: ahead.begin(lambda entries: told.append([it.framed.sequence for it in entries]))
    )

    b.wait(lambda it: sum(map(len, told)) == 4)
    assert [it for some in told for it in some] == [3, 4, 6, 7]
    assert not any({4, 6} <= set(some) for some in told), "what is told together is whole"


def test_it_goes_on_when_the_broker_is_back(own: Streams) -> None:
    a, b = _stuck(own)
    ahead = _ahead(b)
    told: list[Entry] = []
    own.loop.call(ahead.place)
    own.loop.call(lambda: ahead.begin(told.extend))
    a.append(new_event())
    b.wait(lambda it: len(told) == 1)
    (server,) = own.cluster.servers

    server.kill()
    b.wait(lambda it: not ahead.is_told)
    server.restart()
    a.wait(lambda it: it.log.journal.problem is None or "message 2" in it.log.journal.problem)
    a.append(new_event())

    b.wait(lambda it: [it.framed.sequence for it in told] == [3, 4])


def test_another_stream_of_the_same_name_is_not_told(streams: Streams) -> None:
    a, b = _stuck(streams)
    ahead = _ahead(b)
    told: list[Entry] = []
    streams.loop.call(ahead.place)
    a.close()
    streams.ask(f"STREAM.DELETE.{streams.name}")
    other = streams.open("other")
    other.append(*[new_event() for _ in range(5)])

    streams.loop.call(lambda: ahead.begin(told.extend))

    b.wait(lambda it: it.log.index.epoch == other.log.index.epoch)
    other.append(new_event())
    b.wait(lambda it: it.span == Span(1, 6))
    assert told == []
    assert not ahead.is_told


def test_nothing_is_told_any_more_when_the_log_has_begun_anew(streams: Streams) -> None:
    a, b = _stuck(streams)
    ahead = _ahead(b)
    told, indexed = list[Entry](), list[Entry]()
    b.log.index.listen(indexed.extend)
    streams.loop.call(ahead.place)
    streams.loop.call(lambda: ahead.begin(told.extend))
    a.append(new_event())
    b.wait(lambda it: len(told) == 1)

    # A new epoch of the same stream, which goes on: its messages come as before.
    config = streams.ask(f"STREAM.INFO.{streams.name}")["config"]
    streams.ask(
        f"STREAM.UPDATE.{streams.name}",
        {**config, "metadata": {**config["metadata"], EPOCH: "00" * 8}},
    )
    b.wait(lambda it: it.log.index.epoch == bytes(8))
    streams.loop.call(told.clear)
    streams.ask(f"STREAM.MSG.DELETE.{streams.name}", {"seq": 2})
    a.wait(lambda it: it.log.index.epoch == bytes(8) and it.log.journal.problem is None)
    a.append(new_event())

    b.wait(lambda it: it.span == Span(3, 4))
    assert [it.framed.sequence for it in indexed if it.framed.sequence > 2] == [3, 4]
    assert told == []
    assert not ahead.is_told
