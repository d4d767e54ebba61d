"""Readers that stall, subscribers that come and go in storms, a disk that is full.

Memory is flat, nobody waits for anybody, and nothing acknowledged is lost.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from conferencing.v1.event_service_pb2 import EventFilter, GetFeedInfoRequest, SubscribeRequest
from gateway.feed.feed import Feed
from gateway.journal.events import Framed
from tests.harness.events import new_event
from tests.harness.loop import LoopThread
from tests.harness.nats import with_nats
from tests.harness.needs import on_linux
from tests.harness.process import GatewayProcess
from tests.oracle.breaks import Break
from tests.oracle.breaks_of_feed import keeps_a_queue_for_each
from tests.oracle.disk import wal_of
from tests.oracle.held import HeldNews
from tests.oracle.history import After, Earliest, Opening
from tests.oracle.model import Fields, Wanted
from tests.oracle.remote import RemoteLog, RemoteReader, posted
from tests.oracle.remote_homes import HOMES, made_in
from tests.oracle.stepped import SteppedLoop, run_stepped
from tests.oracle.verdict import violations

FIELDS = Fields("conference.participant.joined", conference_id="c1")

# Stalled readers

READERS, STALLED, WINDOW, BATCH, EVENTS = 10, 1, 20, 8, 300


def events_in_memory_while_one_stalls(tmp_path: Path) -> int:
    """Append many windows full of events; return how many are held when all others have them."""

    # Other gateways of this test session hold some, too.
    before = _frames_in_memory()

    async def run(loop: SteppedLoop) -> int:
        async with HeldNews.opened(loop, tmp_path / "events.db", window=WINDOW) as held:
            readers = [held.reader() for _ in range(READERS)]
            opening = Opening(batch_max=BATCH)
            streams = [held.subscribe(opening, reader) for reader in readers]
            await loop.rest()
            for reader in readers[:STALLED]:
                reader.stall()
            for _ in range(EVENTS):
                (await held.committed(held.log.journal.append(new_event())))()
                await loop.turn_until(lambda: streams[-1].position == held.feed.newest)
            await loop.rest()
            assert {it.position for it in streams[STALLED:]} == {EVENTS}
            # Those who do not read have what was on its way when they stopped, at the most.
            assert all(it.position <= BATCH for it in streams[:STALLED])
            count = _frames_in_memory() - before

            for reader in readers:
                reader.unstall()
            await loop.rest()
            for stream in streams:
                assert [it.sequence for it in stream.events()] == list(range(1, EVENTS + 1))
            return count

    count: int = run_stepped(run)
    return count


def _frames_in_memory() -> int:
    gc.collect()
    return sum(type(it) is Framed for it in gc.get_objects())


# The window, and for each reader one batch on its way.
HELD_MAX = WINDOW + READERS * BATCH


def test_nobodys_backlog_sits_in_memory_and_the_stalled_read_on_from_the_log(
    tmp_path: Path,
) -> None:
    assert events_in_memory_while_one_stalls(tmp_path) <= HELD_MAX


def test_a_queue_for_each_subscriber_would_be_noticed(tmp_path: Path) -> None:
    with Break("keeps a queue for each", "flat memory", keeps_a_queue_for_each).applied():
        assert events_in_memory_while_one_stalls(tmp_path) > HELD_MAX


@pytest.mark.parametrize("name", HOMES)
def test_stalled_callers_keep_nothing_from_the_others(
    loop: LoopThread, tmp_path: Path, name: str
) -> None:
    """Over sockets: the gateway's writes to those who do not read really block."""
    with (
        made_in(name, loop, tmp_path / "nats", sync="2m") as made,
        made(tmp_path) as home,
        GatewayProcess(tmp_path, **home.env) as gateway,
    ):
        log = _begun(home.log, gateway)
        readers = [RemoteReader(f"r{number}", log) for number in range(2 * READERS)]
        # A connection of its own for each, as callers have.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.insecure_channel(gateway.grpc_address, options) for _ in readers]
        for reader, channel in zip(readers, channels, strict=True):
            reader.open(channel, Opening(raw=True))
            assert reader.wait_until(lambda it: bool(it.responses))
        for reader in readers[: 2 * STALLED]:
            reader.stall()
        for number in range(60):
            assert log.post(gateway.webhooks, [posted(f"e{number}", FIELDS, 200_000)]) == [200]
        log.audit()
        for reader in readers[2 * STALLED :]:
            assert reader.wait_until(lambda it: it.position == 60)
        assert all(reader.streams[0].position < 60 for reader in readers[: 2 * STALLED])

        for reader in readers[: 2 * STALLED]:
            reader.unstall()
            assert reader.wait_until(lambda it: it.position == 60)
        for reader, channel in zip(readers, channels, strict=True):
            reader.leave()
            channel.close()

    streams = [reader.streams[0] for reader in readers]
    assert violations(log.model, streams) == []
    assert all(len(list(stream.events())) == 60 for stream in streams)


# Storms of subscribers that come and go


def test_nothing_is_left_in_the_feed_of_subscribers_that_came_and_went(tmp_path: Path) -> None:
    """No event comes meanwhile: whatever is kept for the next event is kept for ever."""

    async def run(loop: SteppedLoop) -> None:
        async with HeldNews.opened(loop, tmp_path / "events.db", window=WINDOW) as held:
            (await held.committed(held.log.journal.append(new_event(conference_id="c0"))))()
            await loop.rest()
            sizes = []
            for wave in range(12):
                readers = [held.reader() for _ in range(200)]
                for number, reader in enumerate(readers):
                    wanted = Wanted(conference_ids=(f"c{wave}.{number}",))
                    held.subscribe(Opening(wanted, Earliest()), reader)
                await loop.rest()
                assert held.feed.subscribers == len(readers)
                for reader in readers:
                    await reader.gone()
                sizes.append(_kept(held.feed))

            assert held.feed.subscribers == 0
            assert held.feed._dispatcher._sleepers == {}
            # What it keeps at hand for the next is bounded: later storms add nothing to it.
            assert max(sizes[6:]) <= max(sizes[:6])

    run_stepped(run)


def _kept(feed: Feed) -> int:
    """How many things the containers of a feed hold."""
    own = (it for name, it in vars(feed).items() if name != "streams")  # that is this suite's
    kept = (*own, *vars(feed._dispatcher).values())
    return sum(len(it) for it in kept if isinstance(it, dict | set | list))


# The feed keeps at hand what a thousand places were given last; the first waves fill that twice.
STREAMS, WAVES, WARM_UP = 250, 24, 8
# What the next 4,000 streams may add once buffers and pools have their size: pages that the
# allocator does not give back. A filter takes 20 KiB here, so leaving filters behind would add
# 80 MiB, and two KiB of anything for each stream 8 MiB.
GROWTH_MAX_KIB = 6 * 1_024


@on_linux
@pytest.mark.parametrize("name", HOMES)
def test_a_storm_of_cancelled_streams_leaves_memory_flat(
    loop: LoopThread, tmp_path: Path, name: str
) -> None:
    with (
        made_in(name, loop, tmp_path / "nats") as made,
        made(tmp_path) as home,
        GatewayProcess(tmp_path, **home.env) as gateway,
    ):
        assert gateway.webhooks.post(posted("e", FIELDS).raw).status == 200
        sizes = []
        for wave in range(WAVES):
            _open_and_cancel(gateway, wave)
            sizes.append(_resident_kib(gateway.pid))

    assert max(sizes[WARM_UP:]) - max(sizes[:WARM_UP]) <= GROWTH_MAX_KIB, sizes


def _open_and_cancel(gateway: GatewayProcess, wave: int) -> None:
    streams = []
    for number in range(STREAMS):
        wanted = EventFilter(conference_ids=[f"{wave}-{number}-{it}" for it in range(200)])
        streams.append(gateway.events.Subscribe(SubscribeRequest(filter=wanted)))
    for stream in streams:
        next(stream)
    info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
    assert info.subscribers == STREAMS
    for stream in streams:
        stream.cancel()
    _until(lambda: gateway.events.GetFeedInfo(GetFeedInfoRequest()).subscribers == 0)


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not say")


# A full disk


@contextmanager
def full_disk(gateway: GatewayProcess, path: Path, room: int) -> Iterator[None]:
    """No file of the process can grow beyond the log's and some bytes: writes fail in the midst."""
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size, wal_of(path).stat().st_size)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size + room, hard))
    yield
    with suppress(ProcessLookupError):  # it may have been killed meanwhile
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))


@on_linux
@pytest.mark.parametrize("room", [0, 5_000, 70_001])
def test_a_full_disk_is_a_503_until_there_is_room_again(tmp_path: Path, room: int) -> None:
    with GatewayProcess(tmp_path) as gateway:
        log = _log_of(gateway, tmp_path)
        reader = RemoteReader("reader", log)
        reader.open(gateway.channel, Opening())
        assert reader.wait_until(lambda it: bool(it.responses))
        made = [posted(f"e{number}", FIELDS, 3_000) for number in range(24)]
        assert log.post(gateway.webhooks, made[:4]) == [200] * 4
        with full_disk(gateway, tmp_path / ".gateway" / "events.db", room):
            # One after the other, then several in one commit.
            statuses = [log.post(gateway.webhooks, [event])[0] for event in made[4:20]]
            statuses += log.post(gateway.webhooks, made[20:])
        assert set(statuses) <= {200, 503}
        assert 503 in statuses
        log.audit()
        refused = [it for it, status in zip(made[4:], statuses, strict=True) if status == 503]
        # The provider sends again.
        assert log.post(gateway.webhooks, refused) == [200] * len(refused)
        log.audit()
        assert reader.wait_until(lambda it: it.position == len(made))
        reader.leave()

    assert violations(log.model, reader.streams) == []
    assert log.known.newest == len(made)
    assert sorted(it.id for it in reader.streams[0].events()) == sorted(it.id for it in made)


@on_linux
def test_a_gateway_killed_on_a_full_disk_has_lost_nothing_acknowledged(tmp_path: Path) -> None:
    made = [posted(f"e{number}", FIELDS, 3_000) for number in range(20)]
    with GatewayProcess(tmp_path) as gateway:
        log = _log_of(gateway, tmp_path)
        assert log.post(gateway.webhooks, made[:4]) == [200] * 4
        with full_disk(gateway, tmp_path / ".gateway" / "events.db", 70_000):
            statuses = [log.post(gateway.webhooks, [event])[0] for event in made[4:]]
            gateway.kill()
    assert {200, 503} == set(statuses)
    with GatewayProcess(tmp_path) as gateway:
        log.audit()
        assert violations(log.model, []) == []
        assert set(log.post(gateway.webhooks, made)) == {200}
        log.audit()

    assert violations(log.model, []) == []
    assert log.known.newest == len(made)


@on_linux
@with_nats
@pytest.mark.parametrize("room", [0, 70_001])
@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
def test_the_full_disk_of_an_index_holds_up_its_own_streams_alone(
    loop: LoopThread, tmp_path: Path, room: int, killed: bool
) -> None:
    """With the log in a stream: its events are stored, and come when there is room again."""
    made = [posted(f"e{number}", FIELDS, 3_000) for number in range(24)]
    with made_in("jetstream-1", loop, tmp_path / "nats") as make, make(tmp_path) as home:
        log, index = home.log, Path(home.env["GATEWAY_INDEX"])
        reader = RemoteReader("reader", log)
        with GatewayProcess(tmp_path, **home.env) as gateway:
            _begun(log, gateway)
            reader.open(gateway.channel, Opening())
            assert reader.wait_until(lambda it: bool(it.responses))
            assert log.post(gateway.webhooks, made[:4]) == [200] * 4
            with full_disk(gateway, index, room):
                # Each waits a second for the index, and is stored all the same.
                began = time.monotonic()
                assert set(log.post(gateway.webhooks, made[4:])) == {200}
                assert time.monotonic() - began > 0.5, "the index had room"
                if killed:
                    gateway.kill()
            if not killed:
                assert reader.wait_until(lambda it: it.position == len(made))
            reader.leave()
        log.audit()
        if killed:
            with GatewayProcess(tmp_path, **home.env) as gateway:
                reader.open(gateway.channel, Opening(place=After(reader.cursor)))
                assert reader.wait_until(lambda it: bool(it.responses) and it.position == len(made))
                reader.leave()
        log.audit()

    assert violations(log.model, reader.streams) == []
    assert log.known.newest == len(made)


def _log_of(gateway: GatewayProcess, folder: Path) -> RemoteLog:
    return _begun(RemoteLog.in_file(folder / ".gateway" / "events.db"), gateway)


def _begun(log: RemoteLog, gateway: GatewayProcess) -> RemoteLog:
    info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
    log.model.begin(bytes.fromhex(info.epoch))
    return log


def _until(happened: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < ends_at, "it has not happened"
