"""The commands `log ...`: look after the log of events, beside the gateway that uses it."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import click

from gateway.config import Settings, SettingsError, environment, load_log_settings, read_value
from gateway.feed.format import event_format, stored_event
from gateway.feed.frames import body_of
from gateway.homes import place_of, stream_report
from gateway.ingest.backfill.complete import CHECKPOINT, read_complete
from gateway.journal.content import Content
from gateway.journal.copying import Copied
from gateway.journal.errors import LogError, OvertakenError
from gateway.journal.findings import Report
from gateway.journal.moving import copy_to, move_to
from gateway.journal.sqlite.backup import (
    BackedUp,
    BackupError,
    back_up,
    made_beside,
)
from gateway.journal.sqlite.checking import check_log
from gateway.natssettings import DEFAULT_EVENT_LOG
from gateway.output import say, tell
from gateway.progress import ProgressLine
from gateway.running import run
from gateway.schema.event_keys import declared_keys
from gateway.values import StreamUrl

# The exit code of a log that has faults, and of what could not be done.
_FAILED = 1

_SETTING = "GATEWAY_EVENT_LOG"


# What a stream that is made gets.
_LIMITS = ("GATEWAY_RETENTION_AGE", "GATEWAY_RETENTION_SIZE")

_Where: TypeAlias = Path | StreamUrl


class LogAddress(click.ParamType[_Where]):
    """A log: as the setting names one, or the path of its file."""

    name = "log"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Where:
        """Return the path of the log's file, or where its stream is."""
        text = str(value)
        if "://" not in text:
            return Path(text)
        try:
            return _place(text)
        except ValueError as error:
            self.fail(f"{text!r} {error}", param, ctx)


_LOG = LogAddress()


@click.group("log")
def log() -> None:
    """Check, back up and copy the log of events.

    LOG is sqlite:///path, a path, or nats://host[,host]/stream; by default that of
    GATEWAY_EVENT_LOG. The servers of a stream are shown what the settings GATEWAY_NATS_* say.
    """


@log.command()
@click.argument("log_", metavar="[LOG]", required=False, type=_LOG)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check(log_: _Where | None, as_json: bool) -> None:
    """Read all of a log, and say what is wrong with it; fails if anything is.

    A gateway may be using it meanwhile. Nothing is changed.
    """
    where = log_ or _default()
    with _told_failures(), ProgressLine() as line:
        report = (
            check_log(where, _content(), line.tell)
            if isinstance(where, Path)
            else run(stream_report(where, _settings(), _content(), line.tell))
        )
    if as_json:
        say(json.dumps(_as_json(where, report)))
    else:
        for text in (*_contents(where, report), *_faults(report)):
            say(text)
    sys.exit(_FAILED if report.faults else 0)


@log.command()
@click.argument("places", metavar="[LOG] TO", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def backup(places: tuple[str, ...], as_json: bool) -> None:
    """Copy a log to a new file, and check the copy.

    Gateways may be using the log meanwhile. The file has its name only when it is whole. When a
    gateway uses it, it has an epoch of its own.
    """
    if len(places) > 2:
        raise click.UsageError("give one LOG and one TO")
    where = _LOG.convert(places[0], None, None) if len(places) > 1 else _default()
    to = Path(places[-1])
    with _told_failures(), ProgressLine() as line:
        made = (
            back_up(where, to, _content(), line.tell)
            if isinstance(where, Path)
            else _backed_up(where, to, line)
        )
    if as_json:
        say(json.dumps({"size_bytes": made.size_bytes, **_as_json(made.path, made.report)}))
        return
    for text in _contents(made.path, made.report):
        say(text)


@log.command()
@click.argument("from_", metavar="FROM", type=_LOG)
@click.argument("to", metavar="TO", type=_LOG)
@click.option(
    "--move",
    is_flag=True,
    help="Keep the epoch, so that cursors stay good, and close the log at FROM for good.",
)
@click.option(
    "--index",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the index of the stream here (of the new log, if both are streams).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def copy(from_: _Where, to: _Where, move: bool, index: Path | None, as_json: bool) -> None:
    """Copy a log to a new one, event by event, and compare both.

    No gateway may use the new log, nor the one in a file that is copied. Events keep their numbers.
    A copy that was broken off goes on where it was.

    The new log has an epoch of its own, and cursors of the other one are not good there. With
    --move it has the same one: it is the same log, at another place, and the one at FROM cannot be
    used any more.
    """
    with _told_failures(), ProgressLine() as line:
        copied = run(_copied(from_, to, index, line, is_move=move))
    if copied is None:
        say(json.dumps({"from": str(from_), "to": str(to)}) if as_json else f"{to}: moved already")
        return
    span = copied.span
    if as_json:
        said = {"oldest": span.oldest, "newest": span.newest, "added": copied.added}
        say(json.dumps({"from": str(from_), "to": str(to), **said}))
        return
    say(
        f"{to}: {span.count:,} events, numbers {span.oldest:,} to {span.newest:,},"
        f" {'moved from' if move else 'as in'} {from_}"
    )


@contextmanager
def _told_failures() -> Iterator[None]:
    """Tell what could not be done, and exit."""
    try:
        yield
    except (LogError, OvertakenError, SettingsError) as error:
        tell(f"telnyx-gateway: {error}")
        sys.exit(_FAILED)


async def _copied(
    from_: _Where, to: _Where, index: Path | None, line: ProgressLine, *, is_move: bool
) -> Copied | None:
    content, settings = _content(), _settings()
    with tempfile.TemporaryDirectory(prefix="telnyx-gateway-") as folder:
        indices = [Path(folder) / "from.db", Path(folder) / "to.db"]
        if index is not None:
            indices[isinstance(to, StreamUrl)] = index
        source, target = (
            place_of(where, settings, content.format, at)
            for where, at in zip((from_, to), indices, strict=True)
        )
        do = move_to if is_move else copy_to
        return await do(source, target, content, line.tell)


def _backed_up(where: StreamUrl, to: Path, line: ProgressLine) -> BackedUp:
    """Copy a stream to a new file. Raises LogError and SettingsError."""
    content, settings = _content(), _settings()
    with (
        tempfile.TemporaryDirectory(prefix="telnyx-gateway-") as folder,
        made_beside(to) as part,
    ):
        source = place_of(where, settings, content.format, Path(folder) / "index.db")
        target = place_of(part, settings, content.format, part)
        run(copy_to(source, target, content, line.tell))
        report = check_log(part, content, line.tell)
        if report.faults:
            raise BackupError(f"the copy is not whole: {report.findings[0].text}")
    return BackedUp(to, to.stat().st_size, report)


def _settings() -> Settings:
    """Return the settings that say how to get to a stream. Raises SettingsError."""
    return load_log_settings(environment(), *_LIMITS)


def _default() -> _Where:
    """Return the log of the gateway's own setting."""
    text = environment().get(_SETTING, "").strip() or DEFAULT_EVENT_LOG
    try:
        return _place(text)
    except ValueError as error:
        raise click.UsageError(f"{_SETTING} {error}") from None


def _place(text: str) -> _Where:
    """Return where an address says that a log is. Raises ValueError; its words follow the name."""
    found: _Where = read_value(_SETTING, text)
    return found


def _content() -> Content:
    keys = declared_keys()
    return Content(event_format(keys), stored_event(keys), body_of, {CHECKPOINT: read_complete})


def _contents(where: _Where, report: Report) -> list[str]:
    if report.span is None or report.epoch is None:
        return [f"{where}: no log that can be read"]
    span = report.span
    numbers = f", numbers {span.oldest:,} to {span.newest:,}" if span.count else ""
    lines = [f"{where}: {report.events:,} events{numbers}, epoch {report.epoch.hex()}"]
    if report.without_checksum:
        lines.append(
            f"{report.without_checksum:,} of them were stored by an older gateway, without a"
            " checksum: changed bytes in their bodies would not be seen"
        )
    return lines


def _faults(report: Report) -> list[str]:
    if not report.faults:
        return ["no fault was found"]
    lines = [f"{it.part}: {it.text}" for it in report.findings]
    if more := report.faults - len(report.findings):
        lines.append(f"and {more:,} more")
    return [*lines, f"faults: {report.faults:,}"]


def _as_json(where: _Where, report: Report) -> dict[str, object]:
    span = report.span
    return {
        "log": str(where),
        "ok": not report.faults,
        "epoch": report.epoch.hex() if report.epoch is not None else None,
        "oldest": span.oldest if span else None,
        "newest": span.newest if span else None,
        "events": report.events,
        "without_checksum": report.without_checksum,
        "faults": report.faults,
        "findings": [it._asdict() for it in report.findings],
    }
