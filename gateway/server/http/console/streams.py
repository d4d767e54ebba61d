"""Streams of the console: server-sent events (WHATWG HTML, 9.2), one JSON object in each."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict

from conferencing.v1.common_pb2 import REGION_UNSPECIFIED
from gateway.conference.conferences import Conferences
from gateway.conference.errors import ConferenceError
from gateway.conference.reader import ConferenceRef
from gateway.console.console import Console
from gateway.console.viewers import Viewer
from gateway.health.health import Report
from gateway.journal.filter import EVERYTHING
from gateway.schema.invalid import InvalidRequestError
from gateway.upstream.errors import UpstreamError

# How often vitals are sent, in seconds; what is on the board comes as it changes.
_VITALS_S = 1.0

# How often it is looked at whether somebody may still look, in seconds.
_LOOK_S = 1.0

# How long a viewer may be told nothing, in seconds: proxies close what is silent for a minute.
_SILENCE_S = 15.0


async def board_stream(
    console: Console,
    viewer: Viewer,
    hello: dict[str, Any],
    vitals: Callable[[], dict[str, Any]],
    may_stay: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """Yield the whole board, then what changes on it, and vitals once a second.

    It ends soon after whoever looks may not any more, as that of a conference does.
    """
    yield _sent({"hello": hello})
    samples_told = 0
    vitals_at = 0.0
    while not viewer.is_closed and may_stay():
        told = await viewer.next(_VITALS_S)
        now = time.monotonic()
        if now - vitals_at >= _VITALS_S:
            vitals_at = now
            samples = console.vitals.samples
            fresh = [it for it in samples if (it["at"] or 0) > samples_told]
            if fresh:
                samples_told = int(fresh[-1]["at"] or 0)
            told["vitals"] = vitals() | {"samples": fresh, "live": console.is_live}
        if told:
            yield _sent(told)


async def conference_stream(
    conferences: Conferences, conference_id: str, caller: str, may_stay: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield the state of a conference as the provider has it, whenever it changes."""
    ref = ConferenceRef(conference_id, REGION_UNSPECIFIED)
    try:
        async with conferences.watch(ref, EVERYTHING, ("console", caller)) as watch:
            while True:
                state = MessageToDict(watch.snapshot(), preserving_proto_field_name=True)
                yield _sent({"state": state})
                silent_s = 0.0
                while True:
                    if watch.has_ended or watch.draining or not may_stay():
                        return
                    if await watch.next(_LOOK_S):
                        break
                    silent_s += _LOOK_S
                    if silent_s >= _SILENCE_S:
                        silent_s = 0.0
                        yield b": still here\n\n"
    except (ConferenceError, InvalidRequestError, UpstreamError) as error:
        yield _sent({"problem": str(error)})


def health_of(report: Report) -> dict[str, Any]:
    """Return the health as the console shows it."""
    return {
        "ready": report.ready,
        "reasons": list(report.reasons),
        "components": [
            {"name": it.name, "ok": it.ok, "reason": it.reason, "for_s": report.at - it.since}
            for it in report.states
        ],
    }


def _sent(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
