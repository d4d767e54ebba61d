"""The example: what it knows does not depend on order, repetition or interruption."""

import random
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from examples.attendance import Attendance
from tests.harness.gateway import RunningGateway
from tests.harness.process import ROOT, environment
from tests.harness.webhooks import webhook

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "examples" / "attendance.py"


def event(kind: str, at: int, call: str = "", conference: str = "c1") -> Event:
    return Event(
        type=f"conference.{kind}",
        conference_id=conference,
        call_control_id=call,
        occurred_at=Timestamp(seconds=at),
    )


STORY = [
    event("participant.joined", 1, "alice"),
    event("participant.joined", 2, "bob"),
    event("participant.left", 3, "alice"),
    event("participant.joined", 4, "alice"),
    event("participant.left", 5, "bob"),
]


def after(events: list[Event]) -> dict[str, list[str]]:
    attendance = Attendance()
    for it in events:
        attendance.apply(it)
    return attendance.present()


def test_every_order_ends_in_the_same_state() -> None:
    for order in permutations(STORY):
        assert after(list(order)) == {"c1": ["alice"]}


@given(st.lists(st.sampled_from(STORY), max_size=10), st.randoms(use_true_random=False))
def test_repetition_changes_nothing(again: list[Event], order: random.Random) -> None:
    events = [*STORY, *again]
    order.shuffle(events)

    assert after(events) == {"c1": ["alice"]}


def test_a_conference_that_has_ended_is_empty_whenever_that_is_heard() -> None:
    for order in permutations([*STORY[:2], event("ended", 9)]):
        assert after(list(order)) == {}


def run(gateway: RunningGateway, state: Path) -> str:
    return subprocess.run(
        [
            sys.executable,
            SCRIPT,
            "--address",
            str(gateway.app.grpc_address),
            "--state",
            state,
            "--stop",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_it_goes_on_where_it_stopped(fresh: RunningGateway, tmp_path: Path) -> None:
    def post(kind: str, at: int, call: str) -> None:
        payload = {
            "conference_id": "c1",
            "call_control_id": call,
            "occurred_at": f"2026-01-01T00:00:{at:02}Z",
        }
        fresh.webhooks.post(webhook(f"conference.participant.{kind}", payload))

    state = tmp_path / "state.json"
    post("joined", 1, "alice")
    post("left", 3, "bob")
    assert run(fresh, state) == "c1: alice\n"

    post("joined", 2, "bob")  # late: bob has left since
    assert run(fresh, state) == ""
    post("left", 4, "alice")
    assert run(fresh, state) == "nobody is in a conference\n"
