"""The sandbox as a process: starting, stopping, its clock, its journal, its calls."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from gateway.sandbox import (
    ControlError,
    RunningSandbox,
    SandboxControl,
    SandboxServer,
    SandboxSettings,
    serve_forever,
)
from gateway.sandbox.clock import ManualClock, RealClock
from tests.sandbox.stage import ALICE, BOB, CAROL, Stage


def test_three_calls_are_there_from_the_start(stage: Stage) -> None:
    calls = stage.control.calls()

    assert [one.call_control_id for one in calls] == [ALICE, BOB, CAROL]
    assert {one.state for one in calls} == {"active"}


def test_the_calls_at_the_start_can_be_chosen(open_stage: Callable[..., Stage]) -> None:
    assert open_stage(calls=()).control.calls() == []
    assert [one.call_control_id for one in open_stage(calls=("v3:x",)).control.calls()] == ["v3:x"]


def test_a_call_is_made_up_as_far_as_it_is_not_given(stage: Stage) -> None:
    made = stage.control.create_call()
    given = stage.control.create_call(
        call_control_id="v3:me", caller="+491", callee="+492", connection_id="7"
    )

    assert made.call_control_id.startswith("v3:")
    assert made.state == "active"
    assert (given.caller, given.callee, given.connection_id) == ("+491", "+492", "7")
    with pytest.raises(ControlError, match="already"):
        stage.control.create_call(call_control_id="v3:me")
    stage.control.hang_up("v3:me")
    assert stage.control.create_call(call_control_id="v3:me").call_leg_id != given.call_leg_id


def test_hanging_up_twice_is_once(stage: Stage) -> None:
    stage.meet(ALICE, BOB)
    stage.forget()

    assert stage.control.hang_up(BOB).state == "ended"
    assert stage.control.hang_up(BOB).state == "ended"

    assert stage.types() == ["conference.participant.left"]


def test_the_journal_shows_requests_as_they_came(stage: Stage) -> None:
    stage.http.post(
        "/queues?colour=blue%20sky", json={"queue_name": "a b"}, headers={"x-trace": "7"}
    )
    stage.http.get("/queues/a%20b")
    stage.http.get("/queues", headers={"authorization": ""})
    first, second, third = stage.control.requests()

    assert (first.method, first.path, first.query) == ("POST", "/v2/queues", "colour=blue%20sky")
    assert (first.operation, first.body, first.status) == (
        "queues.create",
        {"queue_name": "a b"},
        200,
    )
    assert dict(first.headers)["x-trace"] == "7"
    assert "KEY" not in str(first)
    assert second.path == "/v2/queues/a%20b"
    assert (third.operation, third.status) == (None, 401)


def test_the_journal_counts_what_was_executed_and_not_what_was_refused(stage: Stage) -> None:
    conference = stage.create(command_id="c-1")
    stage.post(f"/conferences/{conference}/actions/leave", call_control_id=BOB)
    stage.http.get("/conferences")
    [execution] = stage.control.executions()

    assert execution.operation == "conferences.create"
    assert (execution.call_control_id, execution.command_id) == (ALICE, "c-1")
    assert execution.body["name"] == "Standup"
    stage.control.clear_requests()
    assert stage.control.requests() == []
    assert stage.control.executions() == []


def test_the_journal_has_a_limit(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(journal_size=3)
    for _ in range(5):
        stage.http.get("/queues")

    assert len(stage.control.requests()) == 3


def test_a_real_clock_cannot_be_moved(open_stage: Callable[..., Stage]) -> None:
    with pytest.raises(ControlError, match="manual_clock") as failure:
        open_stage(manual_clock=False).control.advance(1)

    assert failure.value.status == 409


def test_time_does_not_run_backwards(stage: Stage) -> None:
    with pytest.raises(ControlError, match="at least 0"):
        stage.control.advance(-1)


def test_a_fast_clock_makes_speech_brisk(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(manual_clock=False, speed=1000)
    conference = stage.create()
    began = time.monotonic()

    stage.act(conference, "speak", payload="x" * 1000, voice="female")  # a minute
    stage.receiver.wait_for(4)

    assert stage.receiver.types[2:] == ["conference.speak.started", "conference.speak.ended"]
    assert time.monotonic() - began < 5


def test_a_manual_clock_runs_timers_in_order_at_their_own_time() -> None:
    clock = ManualClock(start=100)
    seen: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, clock.now()))

    clock.call_at(105, note("later"))
    clock.call_at(102, note("sooner"))
    clock.call_at(103, note("never")).cancel()

    def nest() -> None:
        clock.call_at(104, note("nested"))

    clock.call_at(103, nest)

    async def settle() -> None:
        """Nothing is under way."""

    asyncio.run(clock.advance(5, settle))

    assert seen == [("sooner", 102), ("nested", 104), ("later", 105)]
    assert clock.now() == 105


def test_a_real_clock_runs_with_its_speed() -> None:
    async def run() -> float:
        clock = RealClock(speed=10_000)
        reached = asyncio.Event()
        clock.call_at(clock.now() + 100, reached.set)
        began = clock.now()
        await asyncio.wait_for(reached.wait(), 5)
        return clock.now() - began

    assert asyncio.run(run()) >= 99


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = SandboxSettings(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"), SandboxServer(settings):
            pytest.fail("it started")


def test_a_server_that_is_not_running_says_so() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = SandboxServer().base_url


def test_nothing_is_left_running() -> None:
    with SandboxServer() as sandbox:
        control = sandbox.control
        assert control.health()["status"] == "ok"

    with pytest.raises(OSError, match="refused"):
        control.health()
    assert not [one for one in threading.enumerate() if one.name == "sandbox"]


def test_it_runs_in_a_loop_that_is_there_until_cancelled() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]

    async def run() -> tuple[RunningSandbox, bool]:
        before = handlers()
        ready: asyncio.Future[RunningSandbox] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve_forever(SandboxSettings(), ready.set_result))
        running = await asyncio.wait_for(ready, 5)
        health = await asyncio.to_thread(SandboxControl(running.address).health)
        assert health["status"] == "ok"
        assert handlers() == before
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return running, task.cancelled()

    running, cancelled = asyncio.run(run())

    assert cancelled
    assert running.base_url == f"{running.address}/v2"
    with pytest.raises(OSError, match="refused"):
        SandboxControl(running.address).health()


def test_an_address_without_a_scheme_is_explained() -> None:
    with pytest.raises(ValueError, match="must look like"):
        SandboxControl("127.0.0.1:80")


def test_a_wait_that_is_too_short_says_how_many_are_left(stage: Stage) -> None:
    stage.receiver.answer = lambda _: 500
    stage.enqueue(ALICE)
    stage.control.wait_until_idle()

    with pytest.raises(TimeoutError, match="1 webhooks"):
        stage.control.wait_until_delivered(timeout=0.01)


def test_the_control_api_explains_what_is_wrong(stage: Stage) -> None:
    for method, path, body in (
        ("POST", "/clock/advance", {"seconds": "many"}),
        ("PUT", "/webhook_url", {"url": "ftp://x"}),
        ("POST", "/calls", {"from": 7}),
        ("GET", "/deliveries/pending?wait=long", None),
        ("GET", "/deliveries/pending?until=never", None),
    ):
        url = f"{stage.control.address}/_sandbox{path}"
        answer = stage.http.request(method, url, json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
