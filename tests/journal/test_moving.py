"""Copying and moving a log from place to place, broken off at every step."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats
import pytest

from gateway.homes import FilePlace, NatsPlace
from gateway.journal.copying import Copied, CopyError
from gateway.journal.errors import LogError, LogOpenError, LogUnavailableError
from gateway.journal.jetstream import StreamPlace
from gateway.journal.moves import Move, Opening, Standing
from gateway.journal.moving import Place, copy_to, move_to
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite.backup import back_up
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, with_nats
from tests.journal.places import (
    BEGINS_AT,
    CONTENT,
    MANY,
    MARK,
    PATIENCE_S,
    Breaking,
    BrokenOff,
    Places,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path_factory.mktemp("nats"))) as cluster:
        yield cluster


Break = Callable[[Place], Place]
NOT: Break = lambda place: place  # noqa: E731 - a table of them reads better

# Where a move breaks off: at the place it goes from, at the one it goes to.
BREAKS: dict[str, tuple[Break, Break]] = {
    "when the new log is made": (NOT, lambda it: Breaking(it, "open")),
    "before the first event": (NOT, lambda it: Breaking(it, appends=0)),
    "within the events": (NOT, lambda it: Breaking(it, appends=600)),
    "before the old log is closed": (lambda it: Breaking(it, "depart"), NOT),
    "after the old log is closed": (lambda it: Breaking(it, "depart", "after"), NOT),
    "before the new log lives": (NOT, lambda it: Breaking(it, "settle")),
    "after the new log lives": (NOT, lambda it: Breaking(it, "settle", "after")),
}

WAYS = [
    pytest.param("file", "file", id="file to file"),
    pytest.param("file", "stream", id="file to stream", marks=with_nats),
    pytest.param("stream", "file", id="stream to file", marks=with_nats),
    pytest.param("stream", "stream", id="stream to stream", marks=with_nats),
]


@pytest.fixture
def places(loop: LoopThread, server: NatsCluster, tmp_path: Path) -> Places:
    return Places(loop, tmp_path, server)


@pytest.mark.parametrize(("kind", "to_kind"), WAYS)
def test_a_copy_is_the_same_but_for_its_epoch(places: Places, kind: str, to_kind: str) -> None:
    source, target = places.new(kind), places.new(to_kind)
    places.fill(source)
    before = places.held(source)

    copied = places.run(copy_to(source, target, CONTENT))

    assert copied == Copied(Span(BEGINS_AT, BEGINS_AT + MANY - 1), MANY)
    assert places.held(source) == before, "the log that was copied goes on living"
    copy = places.held(target)
    assert copy.epoch != before.epoch
    assert replace(copy, epoch=before.epoch) == before
    assert copy.mark == MARK


@pytest.mark.parametrize(("kind", "to_kind"), WAYS)
def test_a_copy_that_was_broken_off_goes_on(places: Places, kind: str, to_kind: str) -> None:
    source, target = places.new(kind), places.new(to_kind)
    places.fill(source)
    with pytest.raises(BrokenOff):
        places.run(copy_to(source, Breaking(target, appends=600), CONTENT))
    kept = places.held(target).span.count
    assert 0 < kept < MANY

    copied = places.run(copy_to(source, target, CONTENT))

    assert copied.added == MANY - kept
    assert places.held(target).events == places.held(source).events


@pytest.mark.parametrize("where", BREAKS)
@pytest.mark.parametrize(("kind", "to_kind"), WAYS)
def test_a_move_that_breaks_off_goes_on_and_never_are_there_two_logs(
    places: Places, kind: str, to_kind: str, where: str
) -> None:
    source, target = places.new(kind), places.new(to_kind)
    epoch = places.fill(source)
    before = places.held(source)
    at_source, at_target = BREAKS[where]

    with pytest.raises(BrokenOff):
        places.run(move_to(at_source(source), at_target(target), CONTENT))

    living = [places.lives(it, epoch) for it in (source, target)]
    closed = where in list(BREAKS)[4:]
    assert living == [not closed, where == "after the new log lives"]

    places.run(move_to(source, target, CONTENT))

    assert places.held(target) == before
    assert places.append(target, new_event()) == before.span.newest + 1
    with pytest.raises(LogOpenError, match=r"was moved to .*: use that one"):
        places.held(source)
    assert places.run(move_to(source, target, CONTENT)) is None, "it is done"


@pytest.mark.parametrize(("kind", "to_kind"), WAYS)
def test_a_log_that_does_not_live_refuses_to_open_and_says_where_it_is(
    places: Places, kind: str, to_kind: str
) -> None:
    source, target = places.new(kind), places.new(to_kind)
    places.fill(source)
    with pytest.raises(BrokenOff):
        places.run(move_to(source, Breaking(target, "settle"), CONTENT))

    with pytest.raises(LogOpenError, match="was moved to") as closed:
        places.held(source)
    assert str(target) in str(closed.value)
    with pytest.raises(LogOpenError, match="is being moved to") as unfinished:
        places.held(target)
    assert str(source) in str(unfinished.value)
    # Nor is what is there a log to copy to or from, while it may still be ended.
    other = places.new("file")
    for from_, to in ((target, other), (source, target)):
        with pytest.raises(LogError):
            places.run(copy_to(from_, to, CONTENT))
    # One that was closed can be copied: should its new place be lost, that is what is left.
    copied = places.run(copy_to(source, other, CONTENT))
    assert copied.span.count == MANY


@with_nats
def test_what_a_gateway_stores_until_the_stream_is_closed_is_moved_too(places: Places) -> None:
    source, target = places.new("stream"), places.new("file")
    places.fill(source)

    class Late(Breaking):
        async def depart(self, standing: Standing, move: Move) -> None:
            log = await self.place.open(Opening())
            await log.journal.append(new_event(id_="late"))
            await self.place.depart(standing, move)
            with pytest.raises(LogUnavailableError, match="sealed"):
                await log.journal.append(new_event(id_="too-late"))
            # Nor does it count as one that takes webhooks, once it has looked.
            async with asyncio.timeout(PATIENCE_S):
                while "was moved to" not in (log.journal.problem or ""):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
            await log.close()

    copied = places.run(move_to(Late(source), target, CONTENT))

    assert copied is not None
    assert copied.added == MANY + 1
    assert b"late" in places.held(target).events[-1][0]


def test_a_log_is_moved_to_one_place_alone(places: Places) -> None:
    source, one, two = (places.new("file") for _ in range(3))
    epoch = places.fill(source)
    with pytest.raises(BrokenOff):
        places.run(move_to(source, Breaking(two, appends=100), CONTENT))
    places.run(move_to(source, one, CONTENT))

    for to in (two, places.new("file")):
        with pytest.raises(CopyError, match=f"was moved to {one}, and is closed for good"):
            places.run(move_to(source, to, CONTENT))

    assert [places.lives(it, epoch) for it in (source, one, two)] == [False, True, False]


@with_nats
def test_of_two_moves_at_one_time_one_ends(places: Places) -> None:
    source, one, two = places.new("stream"), places.new("file"), places.new("file")
    epoch = places.fill(source)

    class Slow(Breaking):
        async def depart(self, standing: Standing, move: Move) -> None:
            # The other one has looked before, and writes its mark over this one.
            await self.place.depart(standing, move)
            assert isinstance(source, NatsPlace)
            await marked(source.place, Move.begun(str(two)))

    with pytest.raises(CopyError, match=f"was moved to {two} meanwhile, not to {one}"):
        places.run(move_to(Slow(source), one, CONTENT))

    assert [places.lives(it, epoch) for it in (source, one, two)] == [False, False, False]


async def marked(place: StreamPlace, move: Move) -> None:
    client = await nats.connect([f"nats://{it}" for it in place.servers])

    async def asked(what: str, body: object) -> Any:
        data = json.dumps(body).encode()
        response = await client.request(f"$JS.API.{what}.{place.stream}", data, timeout=PATIENCE_S)
        return json.loads(response.data)

    config = (await asked("STREAM.INFO", {}))["config"]
    config["metadata"]["telnyx-gateway-departed"] = str(move)
    await asked("STREAM.UPDATE", config)
    await client.close()


def test_a_log_that_is_there_is_not_moved_to(places: Places) -> None:
    source, other = places.new("file"), places.new("file")
    epoch = places.fill(source)
    places.fill(other)
    before = places.held(other)

    with pytest.raises(CopyError, match="there is a log at"):
        places.run(move_to(source, other, CONTENT))

    assert places.held(other) == before
    assert places.lives(source, epoch)


def test_the_beginning_of_a_move_of_another_log_is_no_place(places: Places) -> None:
    source, another, target = (places.new("file") for _ in range(3))
    places.fill(source)
    places.fill(another)
    with pytest.raises(BrokenOff):
        places.run(move_to(another, Breaking(target, appends=100), CONTENT))

    with pytest.raises(CopyError, match="there is a log at"):
        places.run(move_to(source, target, CONTENT))


def test_a_backup_of_a_log_that_was_moved_is_a_log_of_its_own(
    places: Places, tmp_path: Path
) -> None:
    source, target = places.new("file"), places.new("file")
    epoch = places.fill(source)
    places.run(move_to(source, target, CONTENT))

    back_up(Path(str(source)), tmp_path / "backup.db", CONTENT)

    assert places.held(FilePlace(tmp_path / "backup.db", FORMAT)).epoch != epoch


@with_nats
def test_a_stream_that_keeps_less_than_the_log_has_is_named(places: Places) -> None:
    source, target = places.new("file"), places.new("stream")
    places.fill(source)
    assert isinstance(target, NatsPlace)
    small = replace(target, limits=Retention(86_400.0, 64 * 1024))

    with pytest.raises(CopyError, match="the copy begins with number"):
        places.run(copy_to(source, small, CONTENT))


@with_nats
def test_a_stream_that_lacks_events_is_not_copied(places: Places) -> None:
    source = places.new("stream")
    places.fill(source, 20)
    assert isinstance(source, NatsPlace)
    places.run(deleted(source.place, BEGINS_AT + 3))

    read_anew = replace(source, index=source.index.with_name("anew.db"))
    with pytest.raises(CopyError, match=f"lacks events between {BEGINS_AT} and {BEGINS_AT + 4}"):
        places.run(copy_to(read_anew, places.new("file"), CONTENT))


async def deleted(place: StreamPlace, number: int) -> None:
    client = await nats.connect([f"nats://{it}" for it in place.servers])
    body = json.dumps({"seq": number}).encode()
    await client.request(f"$JS.API.STREAM.MSG.DELETE.{place.stream}", body, timeout=PATIENCE_S)
    await client.close()
