"""Any filter and any events: the log, the window and the model choose the same."""

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.oracle.disk import fast_folder
from tests.oracle.held import HeldNews
from tests.oracle.history import Earliest, Opening, Stream
from tests.oracle.model import Fields, Posted, Wanted
from tests.oracle.posts import new_event
from tests.oracle.stepped import SteppedLoop, run_stepped

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
