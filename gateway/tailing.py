"""The command `tail`: print the feed, from where somebody says."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import click
import grpc
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_POLICY_FAIL,
    POSITION_EARLIEST,
    EventFilter,
    SubscribeRequest,
)
from gateway.client.channel import Connection
from gateway.client.event_text import EventText
from gateway.client.tail import TAIL_CHANNEL_OPTIONS, Tail
from gateway.client.tail_errors import error_lines, loss_of
from gateway.connecting import connects
from gateway.output import say, tell, while_read
from gateway.running import run, until_signalled
from gateway.schema.event_keys import EventKey, declared_keys

# The exit code of a run that failed.
_FAILED = 1

Command: TypeAlias = Callable[..., None]


def key_options(keys: Sequence[EventKey]) -> Callable[[Command], Command]:
    """Return what adds an option for each key to a command, under its name in EventFilter."""

    def add(command: Command) -> Command:
        for key in reversed(keys):
            more = ", or prefix ending in *" if key.takes_prefixes else ""
            help_ = f"Only events with this {key.label}{more}; repeatable."
            option = click.option(f"--{key.option}", key.filter_field, multiple=True, help=help_)
            command = option(command)
        return command

    return add


@click.command()
@connects
@click.option("--earliest", is_flag=True, help="Start with the oldest stored event.")
@click.option("--after", metavar="CURSOR", help="Start after this cursor.")
@click.option(
    "--since", metavar="TIME", help="Start with events received since, such as 2026-01-31T12:00."
)
@click.option(
    "--on-gap",
    type=click.Choice(["fail", "continue"]),
    default="fail",
    show_default=True,
    help="If events after the cursor are no longer stored: fail, or report the gap and continue.",
)
@key_options(declared_keys())
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
@click.option("--raw", is_flag=True, help="With --json: include the signed bytes.")
@click.option("--stop", is_flag=True, help="Stop after the last stored event.")
def tail(
    connection: Connection,
    earliest: bool,
    after: str | None,
    since: str | None,
    on_gap: str,
    as_json: bool,
    raw: bool,
    stop: bool,
    **wanted: tuple[str, ...],
) -> None:
    """Print events as they arrive, across restarts of the gateway."""
    if raw and not as_json:
        raise click.UsageError("--raw requires --json")
    if sum(map(bool, (earliest, after, since))) > 1:
        raise click.UsageError("--earliest, --after and --since are mutually exclusive")
    request = SubscribeRequest(
        filter=EventFilter(**wanted),
        include_raw=raw,
        stop_when_caught_up=stop,
        on_gap=GAP_POLICY_CONTINUE if on_gap == "continue" else GAP_POLICY_FAIL,
    )
    if earliest:
        request.position = POSITION_EARLIEST
    elif after:
        request.after_cursor = after
    elif since:
        request.since.CopyFrom(_moment(since))
    sys.exit(run(until_signalled(while_read(_tail(connection, request, as_json)))))


async def _tail(connection: Connection, request: SubscribeRequest, as_json: bool) -> int:
    text = EventText()

    async with connection.open(TAIL_CHANNEL_OPTIONS) as channel:
        following = Tail(channel, request, lambda line: tell(f"-- {line}"))
        resumable = True
        try:
            async for event in following.events():
                line = MessageToJson(event, indent=None) if as_json else text.line(event)
                say(line)
        except grpc.aio.AioRpcError as error:
            resumable = not loss_of(error)
            for line in error_lines(error):
                tell(f"telnyx-gateway: {line}")
            return _FAILED
        finally:
            if following.has_received and resumable:
                tell(f"-- to resume from here: --after {following.cursor}")
    return 0


def _moment(text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.UsageError(f"--since {text!r} is not a time such as 2026-01-31T12:00") from None
    result = Timestamp()
    result.FromDatetime(moment)
    return result
