"""What stands beside a stream goes on when that has begun anew; one that is moved is left alone."""

from typing import Any

import pytest

from gateway.journal.errors import LogUnavailableError, OutdatedError
from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broadcast import subject_of
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.lookout import Lookout
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.jetstream.stream import EPOCH, mark, stream_of
from gateway.journal.moves import ARRIVING, DEPARTED, Move
from tests.harness.events import FORMAT, new_event
from tests.harness.nats import until, with_nats
from tests.journal.jetstream.logs import ROOMY, OpenStream, Streams

pytestmark = with_nats

MOVE = Move.begun("nats://elsewhere/EVENTS")


def _until_heard(streams: Streams, sender: OpenStream, receiver: OpenStream, text: bytes) -> None:
    heard: list[bytes] = []
    receiver.log.broadcast.listen(heard.append)

    def has_come() -> bool:
        streams.loop.call(lambda: sender.log.broadcast.send(text))
        return text in heard

    until(has_come, f"{text!r} is heard")


def _until_held(streams: Streams, log: OpenStream) -> None:
    """Wait until a gateway has done some work with the lease."""

    async def work() -> None:
        log.log.lease.check()

    streams.loop.run(log.log.lease.hold(work), 60)


def _config(streams: Streams) -> Any:
    return streams.ask(f"STREAM.INFO.{streams.name}")["config"]


def test_checkpoints_broadcasts_and_the_lease_go_on_in_the_log_that_has_begun_anew(
    streams: Streams,
) -> None:
    a, b = streams.open("a"), streams.open("b")
    a.append(new_event())
    epoch = a.log.index.epoch
    _until_held(streams, a)
    of_before = streams.loop.run(a.log.checkpoints.replace("name", b"before", 0))

    streams.ask(f"STREAM.DELETE.{streams.name}")
    for log in (a, b):
        log.wait(lambda it: it.log.index.epoch != epoch and it.log.journal.problem is None)
    b.wait(lambda it: it.log.index.epoch == a.log.index.epoch)

    heard: list[bytes] = []
    b.log.broadcast.listen(heard.append)
    streams.send_core(subject_of(streams.name, epoch), b"of the log that was")
    _until_heard(streams, a, b, b"hello")
    assert b"of the log that was" not in heard
    _until_held(streams, b)
    with pytest.raises(OutdatedError):
        streams.loop.run(a.log.checkpoints.replace("name", b"late", of_before))
    streams.loop.run(a.log.checkpoints.replace("name", b"after", 0))
    assert streams.loop.run(b.log.checkpoints.get("name")) == b"after"


def test_a_bucket_that_is_lost_is_made_again(streams: Streams) -> None:
    log = streams.open()
    _until_held(streams, log)
    checkpoints = log.log.checkpoints
    streams.loop.run(checkpoints.set("name", b"before"))

    streams.ask(f"STREAM.DELETE.KV_{streams.name}_checkpoints")

    assert streams.loop.run(checkpoints.get("name")) is None
    streams.loop.run(checkpoints.replace("name", b"after", 0))
    assert streams.loop.run(checkpoints.get("name")) == b"after"
    streams.ask(f"STREAM.DELETE.KV_{streams.name}_checkpoints")
    _until_held(streams, log)


def test_who_starts_without_the_broker_has_all_of_it_when_that_is_there(own: Streams) -> None:
    a = own.open("a")
    a.append(new_event())
    b = own.open("b")
    b.wait(lambda it: it.span.count == 1)
    b.close()
    (server,) = own.cluster.servers
    server.kill()

    b.open()
    assert b.log.journal.problem is not None
    assert b.span.count == 1
    with pytest.raises(LogUnavailableError):
        own.loop.run(b.log.checkpoints.set("name", b"value"))

    server.restart()
    for log in (a, b):
        log.wait(lambda it: it.log.journal.problem is None)
    _until_heard(own, a, b, b"to b")
    _until_heard(own, b, a, b"to a")
    _until_held(own, b)
    own.loop.run(b.log.checkpoints.set("name", b"value"))
    assert own.loop.run(a.log.checkpoints.get("name")) == b"value"


@pytest.mark.parametrize("name", [ARRIVING, DEPARTED])
def test_a_stream_of_a_move_is_neither_made_again_nor_given_another_epoch(
    streams: Streams, name: str
) -> None:
    log = streams.open()
    log.append(new_event())
    epoch = log.log.index.epoch
    log.close()
    config = _config(streams)
    marked = {**config, "metadata": {**config["metadata"], mark(name): str(MOVE)}}
    streams.ask(f"STREAM.UPDATE.{streams.name}", marked)
    clock = [0.0]

    async def forget(through: int) -> None:
        """There is nothing to forget."""

    async def stays_as_it_is() -> None:
        broker = await Broker.connect_now(streams.place, Access())
        copy = StandingCopy(log.path, FORMAT, epoch, forget)
        api = JetStreamApi(broker, streams.name)
        found = await api.info()
        assert found is not None
        stream = stream_of(streams.name, found)
        lookout = Lookout(api, copy, Encoding(FORMAT), ROOMY, stream, now=lambda: clock[0])
        try:
            assert (await lookout.look(closely=True)).epoch == epoch
            assert "nats://elsewhere/EVENTS" in (lookout.objection or "")
            await broker.request(f"$JS.API.STREAM.DELETE.{streams.name}")
            for clock[0] in (0.0, 1e3, 1e6):
                with pytest.raises(LogUnavailableError, match="moved to"):
                    await lookout.look(closely=True)
            assert await api.info() is None
            # As from a backup, without its event.
            await api.create(marked)
            for clock[0] in (2e6, 3e6, 4e6):
                with pytest.raises(
                    LogUnavailableError, match="has lost events, and is being moved"
                ):
                    await lookout.look(closely=True)
            # And another one under the same name, which a move brings.
            await api.update({**marked, "metadata": {**marked["metadata"], EPOCH: "77" * 8}})
            with pytest.raises(LogUnavailableError, match="moved to"):
                await lookout.look(closely=True)
            assert copy.epoch == epoch
        finally:
            await copy.close()
            await broker.close()

    streams.loop.run(stays_as_it_is(), 60)
