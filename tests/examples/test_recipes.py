"""The recipes: what they know depends on no order, and they go on where they were cut off."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import permutations
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_pb2 import Event
from examples.recipes.hold_time import Waiting
from examples.recipes.wallboard import Board
from tests.harness.gateway import RunningGateway
from tests.harness.process import ROOT, environment
from tests.harness.readiness import until
from tests.harness.webhooks import webhook

pytestmark = pytest.mark.slow

RECIPES = ROOT / "examples" / "recipes"


def event(kind: str, at: int, call: str = "alice", queue: str = "", conference: str = "") -> Event:
    return Event(
        type=kind,
        call_control_id=call,
        occurred_at=Timestamp(seconds=at),
        queue_name=queue,
        conference_id=conference,
    )


WAITS = [
    event("call.enqueued", 10, queue="support"),
    event("call.dequeued", 20, queue="support"),
    event("call.enqueued", 30, queue="sales"),
]


def test_who_waits_is_told_of_once_in_every_order() -> None:
    for order in permutations(WAITS):
        waiting = Waiting()
        for it in order:
            waiting.apply(it)
        assert waiting.too_long(60, 90) == []
        assert waiting.too_long(60, 91) == ["alice waits in sales for 61 s"]
        assert waiting.too_long(60, 92) == []


def test_who_left_is_not_told_of_and_who_comes_back_is() -> None:
    waiting = Waiting()
    waiting.apply(WAITS[0])
    assert len(waiting.too_long(5, 16)) == 1
    waiting.apply(WAITS[1])
    assert waiting.too_long(5, 100) == []
    waiting.apply(WAITS[2])
    assert waiting.too_long(5, 100) == ["alice waits in sales for 70 s"]


def test_the_board_shows_who_is_where_in_every_order() -> None:
    story = [
        *WAITS,
        event("conference.participant.joined", 40, "bob", conference="c1"),
        event("conference.participant.joined", 41, "carol", conference="c2"),
        event("conference.ended", 50, "", conference="c2"),
    ]
    for order in permutations(story):
        board = Board()
        for it in order:
            board.apply(it)
        assert list(board.lines(100)) == [
            "c1: 1, the first for 60 s",
            "queue sales: 1, the first for 70 s",
        ]


@contextmanager
def started(gateway: RunningGateway, name: str, *words: str) -> "Iterator[subprocess.Popen[str]]":
    address = ("--address", str(gateway.app.grpc_address))
    with subprocess.Popen(
        [sys.executable, "-u", RECIPES / name, *address, *words],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        watchdog = threading.Timer(30, running.kill)
        watchdog.start()
        try:
            yield running
        finally:
            watchdog.cancel()
            running.kill()


def next_line(running: "subprocess.Popen[str]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def enqueue(gateway: RunningGateway, call: str) -> None:
    payload = {"call_control_id": call, "queue": "support"}
    occurred_at = "2026-01-01T00:00:00Z"
    gateway.webhooks.post(webhook("call.enqueued", payload, occurred_at=occurred_at))


def test_the_alarm_goes_off_once_across_a_restart(fresh: RunningGateway, tmp_path: Path) -> None:
    state = tmp_path / "waiting.json"
    enqueue(fresh, "alice")
    with started(fresh, "hold_time.py", "--state", str(state)) as first:
        assert next_line(first).startswith("ALARM: alice waits in support for ")
        until(lambda: "alice" in json.loads(state.read_text())["told"])
    enqueue(fresh, "bob")
    with started(fresh, "hold_time.py", "--state", str(state)) as second:
        assert next_line(second).startswith("ALARM: bob waits in support for ")


def test_the_wallboard_shows_what_is_stored(fresh: RunningGateway) -> None:
    enqueue(fresh, "alice")
    with started(fresh, "wallboard.py", "--once") as board:
        assert next_line(board).startswith("queue support: 1, the first for ")
        assert board.wait(30) == 0


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def files_served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *it: Quiet(*it, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def save_recording(gateway: RunningGateway, id_: str, url: str) -> None:
    payload = {"conference_id": "c1", "recording_id": id_, "recording_urls": {"mp3": url}}
    gateway.webhooks.post(webhook("conference.recording.saved", payload))


def test_recordings_are_downloaded_once_and_never_outside_of_the_folder(
    fresh: RunningGateway, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    (theirs / "a.mp3").write_bytes(b"sound")
    folder = ("--folder", str(ours))
    with files_served(theirs) as at:
        save_recording(fresh, "gone", f"{at}/expired.mp3")
        save_recording(fresh, "../../up", f"{at}/a.mp3")
        with started(fresh, "recordings.py", *folder) as first:
            assert next_line(first).startswith("recording of c1 is not there: HTTP Error 404")
            assert next_line(first) == f"saved {ours}/______up.mp3"
        save_recording(fresh, "r2", f"{at}/a.mp3")
        with started(fresh, "recordings.py", *folder) as second:
            # What was saved before the cut is not fetched again.
            said = next_line(second)
            while said.startswith("recording of c1 is not there"):
                said = next_line(second)
            assert said == f"saved {ours}/r2.mp3"
    assert {it.name for it in ours.iterdir()} >= {"______up.mp3", "r2.mp3"}
    assert (ours / "r2.mp3").read_bytes() == b"sound"
