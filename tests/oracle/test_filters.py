"""Any filter and any events: the log, the window and the model choose the same, in every home."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.feed.window import Window
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.nats import with_nats
from tests.oracle.disk import fast_folder
from tests.oracle.held import HeldNews
from tests.oracle.history import Earliest, Opening, Stream
from tests.oracle.kept import Keeping
from tests.oracle.model import Era, Fields, Posted, Wanted
from tests.oracle.posts import new_event
from tests.oracle.readers import CountingFeed, Reader
from tests.oracle.stepped import SteppedLoop, run_stepped
from tests.oracle.stream import in_streams

# Few letters, so that much matches; with those that mean something to SQL or to a filter.
words = st.text(
    st.sampled_from(["a", "b", "A", ".", "%", "_", "*", "?", "'", "\0", "é", "😀"]), max_size=4
)
values = st.lists(words.filter(bool), max_size=3, unique=True).map(tuple)
# A star may stand at the end only.
type_wishes = st.lists(
    st.builds(lambda word, star: word.replace("*", "") + star, words, st.sampled_from(["", "*"])),
    max_size=3,
    unique=True,
).map(lambda wishes: tuple(filter(None, wishes)))
events = st.builds(Fields, words.filter(bool), words, words, words, words, words)
filters = st.builds(Wanted, type_wishes, values, values, values, values, values)


@settings(max_examples=150)
@given(st.lists(events, min_size=2, max_size=8), filters)
@example([Fields("a\0b"), Fields("x"), Fields("x")], Wanted(("a\0*",)))
@example([Fields("A"), Fields("a"), Fields("x")], Wanted(("a*",)))
def test_the_log_and_the_window_choose_what_the_model_chooses(
    happened: list[Fields], wanted: Wanted
) -> None:
    expected = [number for number, it in enumerate(happened, 1) if wanted.matches(it)]

    live, from_log = run_stepped(lambda loop: followed(loop, happened, wanted))

    assert [it.sequence for it in live.events()] == expected
    assert [it.sequence for it in from_log.events()] == expected


@with_nats
@settings(max_examples=25)
@given(st.lists(events, min_size=2, max_size=8), filters)
@example([Fields("a\0b"), Fields("x"), Fields("x")], Wanted(("a\0*",)))
def test_they_do_so_over_a_stream(streams: Keeping, happened: list[Fields], wanted: Wanted) -> None:
    expected = [number for number, it in enumerate(happened, 1) if wanted.matches(it)]

    live, from_log = run_stepped(lambda loop: followed_in(loop, streams, happened, wanted))

    assert [it.sequence for it in live.events()] == expected
    assert [it.sequence for it in from_log.events()] == expected


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeping]:
    with in_streams(tmp_path_factory.mktemp("nats")) as keeping:
        yield keeping


async def followed_in(
    loop: SteppedLoop, keeping: Keeping, happened: list[Fields], wanted: Wanted
) -> tuple[Stream, Stream]:
    """The same, over a home whose logs are kept by something."""
    with (
        tempfile.TemporaryDirectory(dir=fast_folder(Path(tempfile.gettempdir()))) as folder,
        keeping(loop, Path(folder)) as kept,
    ):
        log = await kept.open(checkpoints=False, late=None)
        feed = CountingFeed(log.index, Window(log.index.span.newest, entries_max=1))
        feed.streams = {}
        answer = SubscribeStream(feed, 3_600.0, random.Random(0), loop.time)
        era, readers = Era(log.journal.epoch), [Reader("live"), Reader("late")]
        live = readers[0].open(feed, answer, era, Opening(wanted), 1)
        await loop.rest()
        for number, fields in enumerate(happened):
            await log.journal.append(new_event(Posted(f"id-{number}", fields, b"", b"{}"), 0))
            await loop.rest()
        late = readers[1].open(feed, answer, era, Opening(wanted, Earliest()), 1)
        await loop.rest()
        for reader in readers:
            await reader.gone()
        await log.close()
        return live, late


async def followed(
    loop: SteppedLoop, happened: list[Fields], wanted: Wanted
) -> tuple[Stream, Stream]:
    """What somebody gets who follows live, and somebody who comes when the window is past it."""
    with tempfile.TemporaryDirectory(dir=fast_folder(Path(tempfile.gettempdir()))) as folder:
        async with HeldNews.opened(loop, Path(folder) / "events.db", window=1) as held:
            live = held.subscribe(Opening(wanted))
            await loop.rest()
            for number, fields in enumerate(happened):
                event = new_event(Posted(f"id-{number}", fields, b"", b"{}"), 0)
                (await held.committed(held.log.journal.append(event)))()
                await loop.rest()
            late = held.subscribe(Opening(wanted, Earliest()))
            await loop.rest()
            return live, late
