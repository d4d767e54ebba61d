"""Follow the feed for ever, and handle each event once.

    python -m examples.python.follow --state seen.jsonl

`gateway.client.subscribe` subscribes again after restarts and broken connections.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import grpc

from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_POLICY_FAIL,
    POSITION_EARLIEST,
    DrainReason,
    GapReason,
    SubscribeRequest,
    SubscribeResponse,
)
from examples.python.connecting import credentials, options
from examples.python.record import Record
from gateway.client import CHANNEL_OPTIONS, errors, subscribe


async def follow(channel: grpc.aio.Channel, record: Record, chosen: argparse.Namespace) -> None:
    """Handle responses until there are enough events; what one held is kept before the next."""
    while True:
        try:
            async with aclosing(subscribe(channel, start(record, chosen))) as responses:
                while not enough(record, chosen):
                    # Heartbeats come more often than that: a silent connection is dead.
                    async with asyncio.timeout(chosen.silence):
                        response = await anext(responses)
                    report(response)
                    record.add((it.id for it in response.events), response.cursor)
                return
        except TimeoutError:
            print(f"nothing came for {chosen.silence} s, subscribing again", file=sys.stderr)
        except grpc.aio.AioRpcError as error:
            failed = errors.of(error)
            if failed.code is not grpc.StatusCode.OUT_OF_RANGE:
                raise
            print(lost(failed.reason, failed.metadata.get("missed_events", "")), file=sys.stderr)
            if chosen.on_loss != "newest":
                raise SystemExit(1) from None
            record.add((), failed.metadata["newest_cursor"])


def start(record: Record, chosen: argparse.Namespace) -> SubscribeRequest:
    """Return a request that goes on after what is recorded."""
    request = SubscribeRequest(
        on_gap=GAP_POLICY_CONTINUE if chosen.on_loss == "oldest" else GAP_POLICY_FAIL
    )
    request.heartbeat_interval.FromTimedelta(timedelta(seconds=chosen.silence / 3))
    if record.cursor:
        request.after_cursor = record.cursor
    else:
        request.position = POSITION_EARLIEST
    return request


def enough(record: Record, chosen: argparse.Namespace) -> bool:
    """Whether there are as many events as were asked for."""
    return chosen.until is not None and len(record.seen) >= chosen.until


def report(response: SubscribeResponse) -> None:
    """Say what has happened to the stream; events are handled by `record` alone."""
    if response.HasField("gap"):
        gap = response.gap
        reason = GapReason.Name(gap.reason).removeprefix("GAP_REASON_")
        print(lost(reason, str(gap.missed_events or "")), file=sys.stderr)
    if response.HasField("drain"):
        why = DrainReason.Name(response.drain.reason).removeprefix("DRAIN_REASON_")
        print(f"drained: {why}, subscribing again", file=sys.stderr)


def lost(reason: str, missed: str) -> str:
    """Return a loss in words. Whatever was derived from the events may be wrong now."""
    return f"lost: {missed or 'an unknown number of'} events ({reason})"


async def main() -> None:
    """Follow until SIGTERM, or until there are enough events."""
    parser = options(__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file to keep ids and cursor in")
    parser.add_argument(
        "--on-loss",
        choices=("stop", "oldest", "newest"),
        default="stop",
        help="when events are no longer stored: stop, or go on with the oldest or newest event",
    )
    parser.add_argument(
        "--silence", type=float, default=45, help="seconds after which to reconnect"
    )
    parser.add_argument("--until", type=int, help="stop when there are so many events")
    chosen = parser.parse_args()
    secure = credentials(chosen)
    if secure is None:
        channel = grpc.aio.insecure_channel(chosen.address, CHANNEL_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(chosen.address, secure, CHANNEL_OPTIONS)
    async with channel:
        task = asyncio.ensure_future(follow(channel, Record(chosen.state), chosen))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await task


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        print("stopped", file=sys.stderr)
