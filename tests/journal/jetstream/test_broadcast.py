"""Broadcasts over a broker that goes away and comes back, and how much of a burst is kept."""

import pytest

from gateway.journal.jetstream.broadcast import subject_of
from gateway.journal.jetstream.subjects import event_of
from tests.harness.nats import until, with_nats
from tests.journal.jetstream.logs import OpenStream, Streams

pytestmark = with_nats


class Heard:
    """What one gateway has heard."""

    def __init__(self, opened: OpenStream) -> None:
        self.messages: list[bytes] = []
        opened.log.broadcast.listen(self.messages.append)


def _until_heard(sender: OpenStream, heard: Heard, streams: Streams, message: bytes) -> None:
    """Send a message until it is heard, as it is some time after a connection has come back."""

    def has_come() -> bool:
        streams.loop.call(lambda: sender.log.broadcast.send(message))
        return message in heard.messages

    until(has_come, f"{message!r} is heard")


@pytest.mark.slow
def test_gateways_hear_each_other_again_when_the_broker_is_back(own: Streams) -> None:
    (server,) = own.cluster.servers
    a, b = own.open("a"), own.open("b")
    heard = Heard(b)
    _until_heard(a, heard, own, b"before")

    server.kill()
    a.wait(lambda it: it.log.journal.problem is not None)
    own.loop.call(lambda: a.log.broadcast.send(b"while it is away"))
    a.wait(lambda it: it.log.broadcast.dropped == 1)
    server.restart()

    a.wait(lambda it: it.log.journal.problem is None)
    _until_heard(a, heard, own, b"after")
    assert b"while it is away" not in heard.messages


def test_a_burst_beyond_a_bound_is_dropped_and_counted(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    heard = Heard(b)
    _until_heard(a, heard, streams, b"first")

    async def send() -> None:
        for number in range(1_500):
            a.log.broadcast.send(b"%d" % number)

    before = a.log.broadcast.dropped
    streams.loop.run(send())

    assert a.log.broadcast.dropped == before + 500
    _until_heard(a, heard, streams, b"last")
    assert [it for it in heard.messages if it.isdigit()] == [b"%d" % it for it in range(1_000)]


def test_no_stream_of_events_takes_broadcasts_in(streams: Streams) -> None:
    a = streams.open("a")
    subject = subject_of(streams.name, a.log.journal.epoch)
    # A stream of the most confusing name that there can be.
    streams.name = subject.partition(".")[0]
    other = streams.open("b")
    heard = Heard(a)

    streams.send_core(subject, b"to all")

    until(lambda: b"to all" in heard.messages, "it is heard")
    other.append()
    assert other.span.count == 0
    assert event_of(streams.name, "e").count(".") != subject.count(".")
