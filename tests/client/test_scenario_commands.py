"""A scenario's commands go through a gateway as those of any backend."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from conferencing.v1.event_pb2 import (
    QUEUE_LEAVE_REASON_BRIDGED,
    QUEUE_LEAVE_REASON_HANGUP,
    QUEUE_LEAVE_REASON_TIMEOUT,
)
from conferencing.v1.event_service_pb2 import ListEventsRequest
from gateway.sandbox import SandboxServer
from gateway.sandbox.operations import load_operations
from gateway.sandbox.scenario.library import shipped_script
from gateway.sandbox.scenario.reading import read_script
from gateway.sandbox.scenario.script import Caller, Script
from gateway.sandbox.scenario.stage import DeclinedError
from gateway.sandbox.scenario.verbs import OPERATIONS
from gateway.throughgateway import GatewayStage
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.rehearsal import Rehearsal

EVERYTHING = """\
title = "All that can be said to a conference"
length = 2
[calls.ana]
from = "+13125550101"
[calls.ben]
"""


FAULT = """\
do = "fault"
on = "request"
operation = "conferences.actions.join"
times = 1
"""


@dataclass
class Theatre:
    """A gateway in front of a sandbox whose time stands still, as that of the scenario does."""

    loop: LoopThread
    sandbox: SandboxServer
    gateway: RunningGateway

    def on_stage(self, act: Callable[[GatewayStage], Any]) -> Any:
        async def run() -> Any:
            async with grpc.aio.insecure_channel(str(self.gateway.app.grpc_address)) as channel:
                return await act(GatewayStage(channel, self.sandbox.control))

        return self.loop.run(run())

    def play(self, script: Script) -> Rehearsal:
        """Play it to the end."""
        rehearsal = Rehearsal(self.loop, self.sandbox, self.gateway, script)
        rehearsal.go_on(script.length)
        rehearsal.close()
        return rehearsal


@pytest.fixture
def theatre(loop: LoopThread, start_gateway: StartGateway, simulated: SandboxServer) -> Theatre:
    gateway = start_gateway(simulated.base_url, public_key=simulated.public_key)
    simulated.control.set_webhook_url(gateway.webhook_url)
    return Theatre(loop, simulated, gateway)


@pytest.mark.slow
def test_the_support_line_is_played_by_rpcs_alone(theatre: Theatre) -> None:
    script = shipped_script("support-line")
    rehearsal = theatre.play(script)

    assert rehearsal.failures == []
    assert len(rehearsal.told) == len(script.steps)
    commands = {it.operation for it in theatre.sandbox.control.executions()}
    asked = [it for it in theatre.sandbox.control.requests() if it.operation in commands]
    assert len(asked) >= 25
    assert all("telnyx-grpc-gateway" in dict(it.headers).get("user-agent", "") for it in asked)
    stored = theatre.gateway.events.ListEvents(ListEventsRequest(page_size=100)).events
    why = {it.call_dequeued.reason for it in stored if it.type == "call.dequeued"}
    assert why == {
        QUEUE_LEAVE_REASON_BRIDGED,
        QUEUE_LEAVE_REASON_HANGUP,
        QUEUE_LEAVE_REASON_TIMEOUT,
    }


@pytest.mark.slow
def test_faults_of_the_bad_day_hit_the_gateways_commands_and_are_overcome(
    theatre: Theatre,
) -> None:
    text = EVERYTHING + "".join(
        f"[[steps]]\n{it}\n"
        for it in (
            'do = "create"\nconference = "room"\ncall = "ana"',
            f"{FAULT}status = 503",
            f'{FAULT}when = "after"\ndrop = true',
            'do = "join"\nconference = "room"\ncall = "ben"',
        )
    )
    rehearsal = theatre.play(read_script(text, "day.toml"))

    assert rehearsal.failures == []
    sent = theatre.sandbox.control.requests("conferences.actions.join")
    assert len(sent) == 3
    assert len(theatre.sandbox.control.executions("conferences.actions.join")) == 1


def test_each_operation_that_a_scenario_has_is_an_rpc(theatre: Theatre) -> None:
    async def bound(stage: GatewayStage) -> set[str]:
        return set(stage.rpcs)

    assert set(OPERATIONS.values()) <= theatre.on_stage(bound)
    assert len(load_operations()) > len(OPERATIONS)


def test_what_is_said_arrives_unchanged(theatre: Theatre) -> None:
    ana, ben = Caller("ana", "v3:x-ana", from_="+13125550101"), Caller("ben", "v3:x-ben")
    bodies: dict[str, Any] = {
        "play": {"audio_url": "https://example.com/a.mp3", "loop": 3},
        "speak": {"payload": "hello", "voice": "AWS.Polly.Amy", "language": "en-GB"},
        "record": {"format": "mp3", "channels": "dual", "trim": "trim-silence", "play_beep": False},
        "supervise": {
            "call_control_id": "v3:x-ben",
            "supervisor_role": "whisper",
            "whisper_call_control_ids": ["v3:x-ana"],
            "region": "Middle East",
        },
    }

    async def act(stage: GatewayStage) -> None:
        await stage.call_in(ana)
        await stage.call_in(ben)
        create = {"call_control_id": "v3:x-ana", "name": "room", "beep_enabled": "on_enter"}
        id_ = await stage.command(OPERATIONS["create"], {}, create)
        assert id_
        join = {"call_control_id": "v3:x-ben", "mute": False}
        await stage.command(OPERATIONS["join"], {"id": id_}, join)
        for verb, body in bodies.items():
            await stage.command(OPERATIONS[verb], {"id": id_}, body)
        with pytest.raises(DeclinedError, match="UpdateSupervisorRole cannot say this"):
            await stage.command(OPERATIONS["supervise"], {"id": id_}, {"supervisor_role": "none"})
        odd = {"payload": "x", "voice": "y", "voice_settings": {"type": "new"}}
        with pytest.raises(DeclinedError, match="SpeakText cannot say this: voice_settings"):
            await stage.command(OPERATIONS["speak"], {"id": id_}, odd)
        with pytest.raises(DeclinedError, match="there is a call 'v3:x-ana' already"):
            await stage.call_in(ana)
        await stage.dismiss("v3:x-ana")
        await stage.dismiss("nobody")

    theatre.on_stage(act)

    executed = {it.operation: it.body for it in theatre.sandbox.control.executions()}
    for verb, body in bodies.items():
        given = {k: v for k, v in executed[OPERATIONS[verb]].items() if k != "command_id"}
        assert given == body, verb
    assert theatre.sandbox.control.call("v3:x-ana").caller == "+13125550101"


def test_a_sandbox_that_is_gone_declines(theatre: Theatre, loop: LoopThread) -> None:
    with SandboxServer() as gone:
        control = gone.control

    async def act() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:9") as channel:
            stage = GatewayStage(channel, control)
            with pytest.raises(DeclinedError, match="the sandbox cannot be reached"):
                await stage.talk("v3:x")
            with pytest.raises(DeclinedError, match="UNAVAILABLE"):
                await stage.command(OPERATIONS["end"], {"id": "c1"}, {})

    loop.run(act())
