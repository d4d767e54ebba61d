"""The log on SQLite, beyond what the contract asks of any home."""

import asyncio
from pathlib import Path

import pytest

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.errors import LogUnavailableError
from tests.harness.events import new_event
from tests.harness.logs import OpenLog


def test_a_crowd_is_stored_whole_in_order_and_once(opened: OpenLog) -> None:
    crowd = [new_event(id_=f"e{number}") for number in range(300)]

    opened.append(*crowd)
    opened.append(*crowd, *crowd[::-1], new_event(id_="last"), *crowd)

    stored = [Event.FromString(event_of(it.frame)) for it in opened.read()]
    assert [it.id for it in stored] == [*(f"e{number}" for number in range(300)), "last"]
    assert [it.sequence for it in stored] == list(range(1, 302))


def test_what_is_asked_between_appends_has_its_turn(opened: OpenLog) -> None:
    async def all_at_once() -> list[int]:
        appends = [
            asyncio.ensure_future(opened.journal.append(new_event(id_=f"e{number}")))
            for number in range(3)
        ]
        asked = asyncio.gather(opened.pruning(), opened.checkpoints.set("it", b"5"))
        appends += [asyncio.ensure_future(opened.journal.append(new_event(id_="e3")))]
        await asked
        return [it.sequence for it in await asyncio.gather(*appends)]

    assert opened.run(all_at_once()) == [1, 2, 3, 4]
    assert opened.run(opened.checkpoints.get("it")) == b"5"


@pytest.mark.parametrize("count", [1, 16, 17, 64, 150])
def test_a_group_with_a_known_event_is_stored_without_it(opened: OpenLog, count: int) -> None:
    opened.append(new_event(id_="known"))

    group = [new_event(id_=f"new-{number}") for number in range(count)]
    stored = opened.append(*group, new_event(id_="known"), new_event(id_="new-0"))

    numbers = [(number, False) for number in range(2, 2 + count)]
    assert stored == [*numbers, (1, True), (2, True)]
    assert [it.sequence for it in opened.read()] == list(range(1, 2 + count))
    opened.reopen()
    assert opened.append(new_event(id_="next")) == [(2 + count, False)]


def test_a_closed_log_is_one_file(opened: OpenLog, tmp_path: Path) -> None:
    opened.append(new_event(id_="a"))
    opened.read()

    opened.close()

    names = {path.name for path in (tmp_path / "deep").iterdir()}
    assert names == {"events.db", "events.db.lock"}


def test_a_closed_log_says_so(opened: OpenLog) -> None:
    opened.close()

    with pytest.raises(LogUnavailableError, match="closed"):
        opened.append(new_event())
    with pytest.raises(LogUnavailableError, match="closed"):
        opened.read()


def test_commits_are_synchronised_to_disk(opened: OpenLog) -> None:
    connection = opened.connection

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
