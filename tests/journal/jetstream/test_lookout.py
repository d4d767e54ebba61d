"""A stream that is gone, another or has lost events: found while running, and seen to by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.api import JetStreamApi, StoredMessage, StreamInfo
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.errors import BrokerError
from gateway.journal.jetstream.lookout import Lookout
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.jetstream.stream import EPOCH, stream_of
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from tests.harness.events import FORMAT, new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import ROOMY, OpenStream, Streams

pytestmark = with_nats


def _fill(log: OpenStream, *ids: str) -> None:
    for id_ in ids:
        log.append(new_event(id_=id_))


def _config(streams: Streams) -> Any:
    return streams.ask(f"STREAM.INFO.{streams.name}")["config"]


def _epoch_of(streams: Streams) -> bytes:
    return bytes.fromhex(_config(streams)["metadata"][EPOCH])


def _is_well(log: OpenStream) -> bool:
    return log.log.journal.problem is None


def _wait_for_another(streams: Streams, epoch: bytes, *logs: OpenStream) -> None:
    """Wait until all have one log, which is not the one with an epoch."""
    for log in logs:
        log.wait(lambda it: it.log.index.epoch != epoch and _is_well(it))
    now = _epoch_of(streams)
    for log in logs:
        log.wait(lambda it: it.log.index.epoch == now)
        assert log.log.journal.epoch == now


def _lose(streams: Streams, *kept: str) -> None:
    """Replace a stream as by a backup, which has other events and the same epoch."""
    config = _config(streams)
    streams.ask(f"STREAM.DELETE.{streams.name}")
    streams.ask(f"STREAM.CREATE.{streams.name}", config)
    if kept:
        _fill(streams.open("restoring"), *kept)


def test_a_stream_that_is_gone_is_made_again(streams: Streams) -> None:
    a, b = streams.open("a"), streams.open("b")
    _fill(a, "one", "two")
    b.wait(lambda it: it.span == Span(1, 2))
    epoch = a.log.index.epoch
    told: list[Entry] = []
    b.log.index.listen(told.extend)

    streams.ask(f"STREAM.DELETE.{streams.name}")

    a.wait(lambda it: "is not there any more" in (it.log.journal.problem or ""))
    with pytest.raises(LogUnavailableError):
        a.append(new_event())
    assert a.ids() == ["one", "two"], "what is stored is read on"
    _wait_for_another(streams, epoch, a, b)
    assert a.span == b.span == Span(1, 0)
    assert a.append(new_event(id_="two")) == [(1, False)]
    b.wait(lambda it: it.span == Span(1, 1))
    assert [it.framed.sequence for it in told] == [1]
    assert (a.ids(), b.ids()) == (["two"], ["two"])


def test_one_that_an_operator_has_made_anew_is_taken_up(streams: Streams) -> None:
    log = streams.open()
    _fill(log, "one")
    epoch = log.log.index.epoch
    config = _config(streams)
    streams.loop.run(log.log.checkpoints.set("name", b"of the first"))
    begun: list[bytes] = []
    copying = log.log.copying
    assert copying is not None
    copying.when_begun_anew(lambda: begun.append(log.log.index.epoch))

    streams.ask(f"STREAM.DELETE.{streams.name}")
    metadata = {EPOCH: "00112233445566ff"}
    streams.ask(f"STREAM.CREATE.{streams.name}", {**config, "metadata": metadata})

    _wait_for_another(streams, epoch, log)
    assert begun == [bytes.fromhex("00112233445566ff")], "told once, when it is so"
    assert streams.loop.run(log.log.checkpoints.get("name")) is None
    assert log.append(new_event(id_="one")) == [(1, False)]


def test_one_that_cannot_be_a_log_takes_no_event_and_keeps_the_index(streams: Streams) -> None:
    log = streams.open()
    _fill(log, "one")
    epoch = log.log.index.epoch
    config = _config(streams)

    streams.ask(f"STREAM.DELETE.{streams.name}")
    streams.ask(f"STREAM.CREATE.{streams.name}", {**config, "storage": "memory"})

    log.wait(lambda it: "storage is 'memory'" in (it.log.journal.problem or ""))
    with pytest.raises(LogUnavailableError, match="storage is 'memory' and must be file"):
        log.append(new_event())
    assert (log.ids(), log.log.index.epoch) == (["one"], epoch)
    # What is mended is gone on with.
    streams.ask(f"STREAM.DELETE.{streams.name}")
    _wait_for_another(streams, epoch, log)
    assert log.append(new_event()) == [(1, False)]


@pytest.mark.parametrize("kept", [(), ("one",), ("one", "other"), ("x", "y", "z", "more")])
def test_one_that_has_lost_events_gets_a_new_epoch(streams: Streams, kept: Sequence[str]) -> None:
    a, b = streams.open("a"), streams.open("b")
    _fill(a, "one", "two", "three")
    b.wait(lambda it: it.span == Span(1, 3))
    epoch = a.log.index.epoch

    _lose(streams, *kept)

    # Both find it at about the same moment, and end up with the same.
    _wait_for_another(streams, epoch, a, b)
    a.wait(lambda it: it.span == Span(1, len(kept)))
    b.wait(lambda it: it.span == Span(1, len(kept)))
    assert a.ids() == b.ids() == list(kept)
    a.append(new_event(id_="next"))
    b.wait(lambda it: it.span == Span(1, len(kept) + 1))
    assert b.ids() == [*kept, "next"]
    assert _epoch_of(streams) == a.log.index.epoch == b.log.index.epoch


def test_one_that_has_lost_events_while_nobody_looked_gets_a_new_epoch(streams: Streams) -> None:
    log = streams.open()
    _fill(log, "one", "two")
    epoch = log.log.index.epoch
    log.close()
    _lose(streams, "one")

    log.open()

    _wait_for_another(streams, epoch, log)
    log.wait(lambda it: it.span == Span(1, 1))
    assert log.ids() == ["one"]


def test_readers_wait_while_the_index_is_replaced(streams: Streams) -> None:
    log = streams.open()
    _fill(log, "one", "two")

    async def read_throughout() -> set[bytes]:
        index = log.log.index
        epochs, before = set[bytes](), index.epoch
        while index.epoch == before:
            batch = await index.read(0, EVERYTHING, 10, EVERYTHING)
            epochs.add(index.epoch)
            assert len(batch.frames) in (0, 2)
            await asyncio.sleep(0)
        return epochs

    streams.ask(f"STREAM.DELETE.{streams.name}")

    assert streams.loop.run(read_throughout(), 60)


def test_what_waits_for_an_event_of_the_log_that_was_is_let_go(streams: Streams) -> None:
    log = streams.open()
    _fill(log, "one")
    epoch = log.log.index.epoch
    # The index stands still before it, so it is waited for.
    streams.send(f"{streams.name}.theirs", b"not an event")
    log.wait(lambda it: it.log.journal.problem is not None)
    copying = log.log.copying
    assert copying is not None
    waiting = streams.loop.call(lambda: asyncio.ensure_future(copying.reach(2, 1e6)))

    streams.ask(f"STREAM.DELETE.{streams.name}")
    _wait_for_another(streams, epoch, log)

    async def ended() -> None:
        await asyncio.wait_for(asyncio.wait([waiting]), 20)

    streams.loop.run(ended(), 30)
    assert isinstance(waiting.exception(), LogUnavailableError)


# Prunes everything that was received before any event of these tests is.
_ALL = Retention(0.0, 2**40)


class _Interrupted(JetStreamApi):
    """An API whose responses let something else happen first."""

    def __init__(self, broker: Broker, stream: str) -> None:
        super().__init__(broker, stream)
        self.then: dict[str, Callable[[], Awaitable[object]]] = {}

    async def info(self) -> StreamInfo | None:
        found = await super().info()
        await self._let("info")
        return found

    async def message(self, **which: int | str) -> StoredMessage | None:
        found = await super().message(**which)
        await self._let("message")
        return found

    async def _let(self, after: str) -> None:
        if (happens := self.then.pop(after, None)) is not None:
            await happens()


class _Parted(_Interrupted):
    """An API whose leader does not hear from its peers."""

    async def certain_info(self) -> StreamInfo | None:
        raise BrokerError("it does not hear from the other servers")


@asynccontextmanager
async def _looking(
    streams: Streams,
    path: Path,
    epoch: bytes,
    kind: type[_Interrupted] = _Interrupted,
    now: Callable[[], float] = monotonic,
) -> AsyncIterator[tuple[Lookout, _Interrupted, StandingCopy]]:
    """Have a lookout of a stream, with an index of a gateway that has it closed."""

    async def forget(through: int) -> None:
        await api.purge_through(through)

    broker = await Broker.connect_now(streams.place, Access())
    copy = StandingCopy(path, FORMAT, epoch, forget)
    try:
        api = kind(broker, streams.name)
        found = await api.info()
        assert found is not None
        stream = stream_of(streams.name, found)
        yield Lookout(api, copy, Encoding(FORMAT), ROOMY, stream, now=now), api, copy
    finally:
        await copy.close()
        await broker.close()


@pytest.mark.parametrize("after", ["info", "message"])
def test_an_event_that_is_pruned_while_it_is_looked_at_is_not_lost(
    streams: Streams, after: str
) -> None:
    log = streams.open()
    _fill(log, "one", "two")
    epoch, path = log.log.index.epoch, log.path
    log.close()

    async def looked() -> None:
        async with _looking(streams, path, epoch) as (lookout, api, copy):
            api.then[after] = lambda: copy.prune(_ALL, 2e10)

            await lookout.look(closely=True)

            assert not api.then, "it happened meanwhile"
            assert copy.span == Span(3, 2)
            assert lookout.objection is None

    streams.loop.run(looked(), 60)


@pytest.mark.parametrize("kept", [(), ("one", "other")])
def test_what_a_leader_lacks_that_hears_from_nobody_is_not_lost(
    streams: Streams, kept: Sequence[str]
) -> None:
    log = streams.open()
    _fill(log, "one", "two")
    epoch, path = log.log.index.epoch, log.path
    log.close()
    config = _config(streams)
    streams.ask(f"STREAM.DELETE.{streams.name}")
    streams.ask(f"STREAM.CREATE.{streams.name}", config)
    for id_ in kept:
        event = new_event(id_=id_)
        streams.send(f"{streams.name}.{id_}", Encoding(FORMAT).encoded(event))
    clock = [0.0]

    async def looked() -> None:
        async with _looking(streams, path, epoch, _Parted, lambda: clock[0]) as (lookout, _, copy):
            for clock[0] in (0.0, 10.0, 20.0, 30.0):
                with pytest.raises(LogUnavailableError):
                    await lookout.look(closely=True)
            assert copy.span == Span(1, 2)

    streams.loop.run(looked(), 60)
    assert _epoch_of(streams) == epoch
