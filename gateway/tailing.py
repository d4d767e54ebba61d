"""The command `tail`: print the feed, from where somebody says."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import click
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_POLICY_FAIL,
    POSITION_EARLIEST,
    EventFilter,
    SubscribeRequest,
)
from gateway.client import errors
from gateway.client.channel import Connection
from gateway.client.cursor_file import CursorFile
from gateway.client.event_forms import Form, form_of
from gateway.client.event_text import EventText
from gateway.client.execution import Program, ProgramError
from gateway.client.progress import Progress
from gateway.client.subscription import CHANNEL_OPTIONS, Lost, Notice, Subscription
from gateway.client.tail import Tail, is_end_of
from gateway.client.tail_errors import error_lines, loss_of, lost_line
from gateway.completing import event_types
from gateway.connecting import connects
from gateway.output import has_terminal, overwrite, say, tell, while_read
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
            # Only the types of events are known beforehand, and they alone have prefixes.
            known = event_types if key.takes_prefixes else None
            option = click.option(
                f"--{key.option}",
                key.filter_field,
                multiple=True,
                help=help_,
                shell_complete=known,
            )
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
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to keep the cursor in: the next start continues after the last event. The other"
    " options say where the first one starts.",
)
@click.option(
    "--on-gap",
    type=click.Choice(["fail", "continue"]),
    default="fail",
    show_default=True,
    help="If events after the cursor are no longer stored: fail, or report the gap and continue.",
)
@key_options(declared_keys())
@click.option(
    "--follow-conference",
    metavar="ID",
    help="Only events of this conference, from the oldest that is stored until it has ended.",
)
@click.option(
    "-o",
    "--output",
    metavar="FORM",
    default="text",
    show_default=True,
    help="A line for each event: text, json, or by its fields, such as"
    " 'template={type:<40} {conference_id}'.",
)
@click.option("--raw", is_flag=True, help="With -o json: include the signed bytes.")
@click.option(
    "--exec",
    "program",
    metavar="COMMAND",
    help="Print nothing, and run this program for each event, with its JSON on standard input. It"
    " has to succeed: with --state, an event on which it has failed comes again.",
)
@click.option("--stop", is_flag=True, help="Stop after the last stored event.")
def tail(
    connection: Connection,
    earliest: bool,
    after: str | None,
    since: str | None,
    state: Path | None,
    on_gap: str,
    follow_conference: str | None,
    output: str,
    raw: bool,
    program: str | None,
    stop: bool,
    **wanted: tuple[str, ...],
) -> None:
    """Print events as they arrive, across restarts of the gateway."""
    if raw and output != "json":
        raise click.UsageError("--raw requires -o json")
    if sum(map(bool, (earliest, after, since))) > 1:
        raise click.UsageError("--earliest, --after and --since are mutually exclusive")
    request = SubscribeRequest(
        filter=EventFilter(**wanted),
        include_raw=raw,
        stop_when_caught_up=stop,
        on_gap=GAP_POLICY_CONTINUE if on_gap == "continue" else GAP_POLICY_FAIL,
    )
    if follow_conference:
        request.filter.conference_ids.append(follow_conference)
    if earliest or (follow_conference and not (after or since)):
        request.position = POSITION_EARLIEST
    elif after:
        request.after_cursor = after
    elif since:
        request.since.CopyFrom(_moment(since))
    try:
        file = None if state is None else CursorFile(state)
        if file is not None and (saved := file.load()):
            request.after_cursor = saved
        form = form_of(output, EventText(style=click.style))
        run_for_each = None if program is None else Program.of(program)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if run_for_each is not None:
        # So that the cursor is saved after each.
        request.max_batch_events = 1
    tailing = _Tailing(connection, request, form, run_for_each, file, follow_conference)
    sys.exit(run(until_signalled(while_read(tailing.run()))))


@dataclass(frozen=True, slots=True)
class _Tailing:
    """A run of the command."""

    connection: Connection
    request: SubscribeRequest
    form: Form
    program: Program | None
    file: CursorFile | None
    conference_id: str | None

    async def run(self) -> int:
        progress = Progress(overwrite if has_terminal() else _nowhere)
        following = Tail(self._handle, _tell_aside, self._save, progress, self._is_last)

        def observe(notice: Notice) -> None:
            progress.clear()
            _tell_aside(_notice_line(notice))

        async with self.connection.open(CHANNEL_OPTIONS) as channel:
            resumable = True
            try:
                await following.run(Subscription(channel, self.request, observe).responses())
            except grpc.aio.AioRpcError as error:
                failed = errors.of(error)
                resumable = not loss_of(failed)
                for line in error_lines(failed):
                    tell(f"telnyx-gateway: {line}")
                return _FAILED
            except ProgramError as failure:
                tell(f"telnyx-gateway: {failure}")
                return _FAILED
            except OSError as failure:
                tell(f"telnyx-gateway: the cursor cannot be saved: {failure}")
                return _FAILED
            finally:
                if following.cursor and resumable:
                    _tell_aside(f"to resume from here: --after {following.cursor}")
        return 0

    async def _handle(self, event: Event) -> None:
        if self.program is None:
            say(self.form(event))
        else:
            await self.program.run(event)

    def _save(self, cursor: str) -> None:
        if self.file is not None:
            self.file.save(cursor)

    def _is_last(self, event: Event) -> bool:
        return self.conference_id is not None and is_end_of(self.conference_id, event)


def _notice_line(notice: Notice) -> str:
    if isinstance(notice, Lost):
        return lost_line(notice.error)
    how = "resuming after the last event" if notice.has_received else "starting as requested"
    return f"connected; {how}"


def _tell_aside(line: str) -> None:
    tell(f"-- {line}")


def _nowhere(line: str) -> None:
    """Show no progress: nobody looks at a file or a pipe."""


def _moment(text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.UsageError(f"--since {text!r} is not a time such as 2026-01-31T12:00") from None
    result = Timestamp()
    result.FromDatetime(moment)
    return result
