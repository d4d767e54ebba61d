"""The commands `log ...`: look after the log of events, beside the gateway that uses it."""

import json
import sys
from pathlib import Path

import click

from gateway.config import environment, read_value
from gateway.feed.format import event_format, stored_event
from gateway.feed.frames import body_of
from gateway.homes import is_there, open_home
from gateway.ingest.backfill.complete import CHECKPOINT, read_complete
from gateway.journal.content import Content
from gateway.journal.copying import Copied, CopyError, copy_log
from gateway.journal.errors import LogError, OvertakenError
from gateway.journal.findings import Report
from gateway.journal.sqlite.backup import BackupError, back_up
from gateway.journal.sqlite.checking import check_log
from gateway.natssettings import DEFAULT_EVENT_LOG
from gateway.output import say, tell
from gateway.progress import ProgressLine
from gateway.running import run
from gateway.schema.event_keys import declared_keys

# The exit code of a log that has faults, and of what could not be done.
_FAILED = 1

_SETTING = "GATEWAY_EVENT_LOG"


class LogAddress(click.ParamType[Path]):
    """A log: as the setting names one, or the path of its file."""

    name = "log"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path of the log's file."""
        text = str(value)
        if "://" not in text:
            return Path(text)
        try:
            return _file(text)
        except ValueError as error:
            self.fail(f"{text!r} {error}", param, ctx)


_LOG = LogAddress()


@click.group("log")
def log() -> None:
    """Check, back up and copy the log of events.

    LOG is sqlite:///path or a path, by default that of GATEWAY_EVENT_LOG.
    """


@log.command()
@click.argument("log_", metavar="[LOG]", required=False, type=_LOG)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check(log_: Path | None, as_json: bool) -> None:
    """Read all of a log, and say what is wrong with it; fails if anything is.

    A gateway may be using it meanwhile. Nothing is changed.
    """
    path = log_ or _default()
    with ProgressLine() as line:
        report = check_log(path, _content(), line.tell)
    if as_json:
        say(json.dumps(_as_json(path, report)))
    else:
        for text in (*_contents(path, report), *_faults(report)):
            say(text)
    sys.exit(_FAILED if report.faults else 0)


@log.command()
@click.argument("places", metavar="[LOG] TO", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def backup(places: tuple[str, ...], as_json: bool) -> None:
    """Copy a log to a new file, and check the copy.

    A gateway may be using the log meanwhile. The file has its name only when it is whole. When a
    gateway uses it, it gets a new epoch.
    """
    if len(places) > 2:
        raise click.UsageError("give one LOG and one TO")
    path = _LOG.convert(places[0], None, None) if len(places) > 1 else _default()
    try:
        with ProgressLine() as line:
            made = back_up(path, Path(places[-1]), _content(), line.tell)
    except BackupError as error:
        tell(f"telnyx-gateway: {error}")
        sys.exit(_FAILED)
    if as_json:
        say(json.dumps({"size_bytes": made.size_bytes, **_as_json(made.path, made.report)}))
        return
    for text in _contents(made.path, made.report):
        say(text)


@log.command()
@click.argument("from_", metavar="FROM", type=_LOG)
@click.argument("to", metavar="TO", type=_LOG)
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def copy(from_: Path, to: Path, as_json: bool) -> None:
    """Copy a log to a new one, event by event, and compare both.

    No gateway may be using either. Events keep their numbers. A copy that was broken off goes on
    where it was. The new log has an epoch of its own.
    """
    try:
        with ProgressLine() as line:
            copied = run(_copied(from_, to, line))
    except (LogError, OvertakenError) as error:
        tell(f"telnyx-gateway: {error}")
        sys.exit(_FAILED)
    span = copied.span
    if as_json:
        said = {"oldest": span.oldest, "newest": span.newest, "added": copied.added}
        say(json.dumps({"from": str(from_), "to": str(to), **said}))
        return
    say(f"{to}: {span.count:,} events, numbers {span.oldest:,} to {span.newest:,}, as in {from_}")


async def _copied(from_: Path, to: Path, line: ProgressLine) -> Copied:
    if not is_there(from_):
        raise CopyError(f"there is no log at {from_}")
    content = _content()
    source = await open_home(from_, content.format)
    try:
        begins_at = source.index.span.oldest
        target = await open_home(to, content.format, begins_at=begins_at)
        try:
            return await copy_log(source, target, content, line.tell)
        finally:
            await target.close()
    finally:
        await source.close()


def _default() -> Path:
    """Return the log of the gateway's own setting."""
    text = environment().get(_SETTING, "").strip() or DEFAULT_EVENT_LOG
    try:
        return _file(text)
    except ValueError as error:
        raise click.UsageError(f"{_SETTING} {error}") from None


def _file(text: str) -> Path:
    """Return the file that a log's address names. Raises ValueError; its words follow the name."""
    found = read_value(_SETTING, text)
    if not isinstance(found, Path):
        raise ValueError("names a NATS stream, and this command reads files")
    return found


def _content() -> Content:
    keys = declared_keys()
    return Content(event_format(keys), stored_event(keys), body_of, {CHECKPOINT: read_complete})


def _contents(path: Path, report: Report) -> list[str]:
    if report.span is None or report.epoch is None:
        return [f"{path}: no log that can be read"]
    span = report.span
    numbers = f", numbers {span.oldest:,} to {span.newest:,}" if span.count else ""
    lines = [f"{path}: {report.events:,} events{numbers}, epoch {report.epoch.hex()}"]
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


def _as_json(path: Path, report: Report) -> dict[str, object]:
    span = report.span
    return {
        "log": str(path),
        "ok": not report.faults,
        "epoch": report.epoch.hex() if report.epoch is not None else None,
        "oldest": span.oldest if span else None,
        "newest": span.newest if span else None,
        "events": report.events,
        "without_checksum": report.without_checksum,
        "faults": report.faults,
        "findings": [it._asdict() for it in report.findings],
    }
