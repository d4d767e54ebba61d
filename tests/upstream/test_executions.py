"""Executions counted in the simulated Telnyx under faults: none twice, none lost without a word.

For each call there is a marker in its body, so that the provider's journal tells how often it ran.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import AUDIO_FORMAT_WAV
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from gateway.sandbox import RequestFault, SandboxServer, SandboxSettings
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.loop import LoopThread

pytestmark = pytest.mark.slow

# Calls in all; a third each of three kinds of commands. `make soak` makes five times as many.
CALLS = 100_000 if os.environ.get("SOAK") else 20_000
AT_ONCE = 64
ALICE = "v3:sandbox-alice"

# The share of requests that each of seven kinds of trouble hits: 8 % in all, which the retry budget
# (a tenth of the calls) can still mend.
TROUBLE = {"probability": 0.012}

# Five times as late as the hedge waits, so that hedges are sent on the fastest machine, too.
LATE = RequestFault(operation="*", seed=7, probability=0.01, delay_seconds=0.1, when="after")


@dataclass(frozen=True)
class Ended:
    kind: str
    code: grpc.StatusCode
    outcome: str


def add_faults(simulated: SandboxServer, seed: int) -> None:
    for number, fault in enumerate(
        (
            {"drop": True, "when": "before"},
            {"drop": True, "when": "after"},
            {"status": 503, "when": "before"},
            {"status": 500, "when": "after"},
            {"status": 504, "when": "after"},
            {"status": 429, "when": "before"},
            {"status": 408, "when": "before"},
        )
    ):
        simulated.control.add_fault(
            RequestFault(operation="*", seed=seed * 100 + number, **TROUBLE, **fault)  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("hedge", ["", "0.02s"])
def test_no_command_runs_twice_and_none_is_lost_without_a_word(
    loop: LoopThread, tmp_path: Path, hedge: str
) -> None:
    calls = CALLS if not hedge else CALLS // 4
    # In real time: a repeat waits for milliseconds, and command ids are remembered for a minute.
    with SandboxServer(SandboxSettings(journal_size=1_000_000)) as simulated:
        gateway = RunningGateway(
            loop,
            tmp_path,
            simulated.base_url,
            **({"GATEWAY_HEDGE_AFTER": hedge} if hedge else {}),
        )
        try:
            created = gateway.conferences.CreateConference(
                c.CreateConferenceRequest(call_control_id=ALICE, name="Business")
            )
            add_faults(simulated, seed=1)
            if hedge:
                simulated.control.add_fault(LATE)
            ended = loop.run(
                call_all(str(gateway.app.grpc_address), created.conference.id, calls),
                timeout=300,
            )
            simulated.control.clear_faults()
            ran = Counter(
                str(it.body.get("custom_file_name") or it.body.get("media_name") or "")
                for it in simulated.control.executions()
            )
        finally:
            gateway.close()

    assert len(ended) == calls
    assert max(ran[marker] for marker in ended) == 1
    for marker, end in ended.items():
        match end.code:
            case grpc.StatusCode.OK:
                assert ran[marker] == 1, (marker, end)
            case grpc.StatusCode.UNKNOWN:
                assert end.outcome == "unknown"
                assert end.kind != "own id", "whose id the caller knows can be retried"
            case grpc.StatusCode.UNAVAILABLE:
                # Calling again must be harmless: it did not run, or the caller knows its id.
                assert ran[marker] == 0 or end == Ended("own id", end.code, "unknown")
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                assert ran[marker] == 0 or end == Ended("own id", end.code, "unknown")
            case other:
                raise AssertionError(f"{marker} ended with {other}")
    codes = Counter(it.code for it in ended.values())
    # The faults were felt, and most calls came through all the same.
    assert codes[grpc.StatusCode.UNKNOWN] > 0
    assert codes[grpc.StatusCode.OK] > calls * 0.9
    with_ids = [it for it in ended.values() if it.kind != "heard"]
    assert sum(it.code is grpc.StatusCode.OK for it in with_ids) > len(with_ids) * 0.98


async def call_all(address: str, conference_id: str, calls: int) -> dict[str, Ended]:
    ended: dict[str, Ended] = {}
    numbers = iter(range(calls))

    async def work(stub: ConferenceServiceStub) -> None:
        for number in numbers:
            marker = f"marker-{number}"
            kind = ("own id", "made id", "heard")[number % 3]
            ended[marker] = await call_one(stub, conference_id, kind, marker)

    async with grpc.aio.insecure_channel(address) as channel:
        stub = ConferenceServiceStub(channel)
        await asyncio.gather(*(work(stub) for _ in range(AT_ONCE)))
    return ended


def as_call(call: Any) -> Awaitable[Any]:
    """The stubs' types know blocking calls only."""
    awaitable: Awaitable[Any] = call
    return awaitable


async def call_one(
    stub: ConferenceServiceStub, conference_id: str, kind: str, marker: str
) -> Ended:
    try:
        if kind == "heard":
            play = c.PlayAudioRequest(conference_id=conference_id, media_name=marker)
            await as_call(stub.PlayAudio(play, timeout=30))
        else:
            # Each recording that starts is one more: running it twice would be seen.
            record = c.StartRecordingRequest(
                conference_id=conference_id,
                format=AUDIO_FORMAT_WAV,
                custom_file_name=marker,
                command_id=marker if kind == "own id" else "",
            )
            await as_call(stub.StartRecording(record, timeout=30))
    except grpc.aio.AioRpcError as error:
        failure = Failure(error)
        return Ended(kind, failure.code, failure.info.metadata["outcome"])
    return Ended(kind, grpc.StatusCode.OK, "")
