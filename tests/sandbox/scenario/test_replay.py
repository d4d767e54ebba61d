"""A recorded feed is posted once more: as signed webhooks, with the recorded spacing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.sandbox import WebhookFault
from gateway.sandbox.scenario.replay import RecordedEvent, Recording
from tests.sandbox.stage import Stage

# When the events were received; clocks may have been set back meanwhile.
TIMES = (100.0, 103.0, 103.0, 101.0, 110.0)


def events(times: tuple[float, ...] = TIMES) -> Iterator[RecordedEvent]:
    for number, at in enumerate(times):
        data = {
            "id": f"e{number}",
            "event_type": "conference.created",
            "record_type": "event",
            "payload": {"conference_id": "c1", "number": number},
        }
        yield RecordedEvent(at, data)


def recording(times: tuple[float, ...] = TIMES, **how: Any) -> Recording:
    return Recording(name="feed.jsonl", count=len(times), events=lambda: events(times), **how)


class Replaying:
    """A stage on which recordings are replayed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.lines: list[str] = []

    def replay(self, what: Recording, **how: Any) -> None:
        self.stage.sandbox.replay(what, tell=self.lines.append, **how)
        assert self.view["kind"] == "replay"

    @property
    def view(self) -> Any:
        return self.stage.control.what_plays()

    def ids_after(self, seconds: float) -> list[str]:
        self.stage.control.advance(seconds)
        return [it["id"] for it in self.stage.events()]


@pytest.fixture
def replaying(stage: Stage) -> Replaying:
    return Replaying(stage)


def test_events_come_with_the_recorded_spacing_and_in_their_order(replaying: Replaying) -> None:
    replaying.replay(recording())

    assert replaying.ids_after(0) == ["e0"]
    assert replaying.ids_after(2.999) == ["e0"]
    assert replaying.ids_after(0.001) == ["e0", "e1", "e2", "e3"]
    assert replaying.ids_after(6.999) == ["e0", "e1", "e2", "e3"]
    assert replaying.ids_after(0.001) == ["e0", "e1", "e2", "e3", "e4"]
    assert replaying.lines == [
        "0:00 1/5  conference.created",
        "0:03 2/5  conference.created",
        "0:03 3/5  conference.created",
        "0:03 4/5  conference.created",
        "0:10 5/5  conference.created",
        "feed.jsonl: over",
    ]


def test_what_is_posted_is_what_was_recorded(replaying: Replaying) -> None:
    replaying.replay(recording())
    replaying.ids_after(20)

    assert [it.data for it in replaying.stage.receiver.received] == [it.data for it in events()]
    assert all("telnyx-signature-ed25519" in it.headers for it in replaying.stage.receiver.received)
    listed = replaying.stage.get("/webhook_deliveries")["data"]
    assert {it["webhook"]["id"] for it in listed} == {it.data["id"] for it in events()}


def test_new_ids_are_given_when_asked_for_and_in_each_further_round(replaying: Replaying) -> None:
    replaying.replay(recording(), loop=True)
    ids = replaying.ids_after(20)

    assert replaying.view["round"] == 3
    assert ids[:5] == ["e0", "e1", "e2", "e3", "e4"]
    assert len(set(ids)) == len(ids) == 11
    replaying.stage.control.stop_playing()
    replaying.stage.forget()
    replaying.replay(recording(new_ids=True))
    assert not set(replaying.ids_after(10)) & set(ids)
    assert [it.data["payload"]["number"] for it in replaying.stage.receiver.received] == [*range(5)]


@pytest.mark.slow
def test_fast_waits_for_no_clock_and_has_few_under_way(replaying: Replaying) -> None:
    go_on = threading.Event()
    replaying.stage.receiver.answer = lambda _: 200 if go_on.wait(10) else 500
    times = tuple(float(it) for it in range(520))
    replaying.replay(recording(times, fast=True))
    replaying.stage.receiver.wait_for(1)
    assert replaying.view["position"] <= 500
    go_on.set()
    replaying.stage.receiver.wait_for(len(times))

    assert [it.data["id"] for it in replaying.stage.receiver.received] == [
        f"e{number}" for number in range(520)
    ]
    replaying.stage.control.advance(0)
    assert (replaying.view["state"], replaying.view["position"]) == ("over", 520)
    assert replaying.lines == ["feed.jsonl: over"]


def test_faults_hit_what_is_replayed_too(replaying: Replaying) -> None:
    fault = WebhookFault(trouble="duplicate", times=1)
    replaying.stage.control.add_fault(fault)
    replaying.replay(recording())

    assert replaying.ids_after(10) == ["e0", "e0", "e1", "e2", "e3", "e4"]
