"""The command line: serve, demo, sandbox, tail, token, version."""

import asyncio
import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import grpc
import uvloop
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_POLICY_FAIL,
    POSITION_EARLIEST,
    EventFilter,
    SubscribeRequest,
)
from gateway.app import Gateway, gateway_version
from gateway.background import kept_running
from gateway.callers.errors import CallersFileError
from gateway.callers.tokens import line_for_file, new_token
from gateway.client.demo import Cast, Demo
from gateway.client.event_text import EventText
from gateway.client.tail import TAIL_CHANNEL_OPTIONS, Tail
from gateway.client.tail_errors import error_lines, loss_of
from gateway.config import (
    DEFAULT_GRPC_ADDRESS,
    Settings,
    SettingsError,
    environment,
    load_settings,
    unread,
)
from gateway.ingest.webhooks.receiver import WEBHOOK_PATH
from gateway.journal.errors import LogError
from gateway.memory import MemoryUpkeep
from gateway.output import Program, say, tell, while_read
from gateway.process import raise_descriptors, tune_interpreter
from gateway.schema.access import AccessError
from gateway.schema.binding import BindingError
from gateway.schema.event_keys import EventKey, declared_keys
from gateway.telemetry.logs import LogCounts, logs_set_up

if TYPE_CHECKING:
    from gateway.simulation import Simulation

# Exit codes: wrong settings or usage (click's own), and a run that failed.
EXIT_USAGE = 2
EXIT_FAILED = 1

# The demonstration's speech takes a fraction of a second.
_DEMO_SPEED = 10.0

Command: TypeAlias = Callable[..., None]

_log = logging.getLogger("gateway")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run a gRPC gateway for Telnyx voice conferencing."""


@main.command()
@click.option("--sandbox", is_flag=True, help="Use a simulated Telnyx; no key is needed.")
def serve(sandbox: bool) -> None:
    """Serve gRPC, and receive webhooks over HTTP.

    Settings are environment variables; the README lists them.
    """
    if not sandbox:
        sys.exit(_served(_settings(environment())))
    from gateway.simulation import simulated  # noqa: PLC0415 - see there

    with simulated() as simulation:
        settings = _settings({**environment(), **simulation.settings})
        sys.exit(_served(settings, simulation))


@main.command()
def demo() -> None:
    """Send commands and print their events, against a simulated Telnyx."""
    from gateway.simulation import simulated  # noqa: PLC0415 - see there

    with (
        logs_set_up("warning", "text"),
        tempfile.TemporaryDirectory() as folder,
        simulated(_DEMO_SPEED) as simulation,
    ):
        chosen = {
            **simulation.settings,
            "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
            "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
            "GATEWAY_EVENT_LOG": f"sqlite:///{Path(folder) / 'events.db'}",
        }
        ok = _run(_demo(load_settings(chosen), simulation))
    say(click.style("every event arrived" if ok else "the demonstration FAILED", bold=True))
    sys.exit(0 if ok else EXIT_FAILED)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8081,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Port to listen on; 0 for any free port.",
)
@click.option("--webhook-url", help="URL to post webhooks to, /webhooks/telnyx included.")
@click.option(
    "--speed", default=1.0, show_default=True, help="How fast time passes; 10 is tenfold."
)
def sandbox(host: str, port: int, webhook_url: str | None, speed: float) -> None:
    """Run only the simulated Telnyx.

    Prints the settings with which a gateway uses it. Its webhooks go to --webhook-url.
    """
    from gateway.simulation import alone  # noqa: PLC0415 - see there

    if webhook_url and not webhook_url.startswith(("http://", "https://")):
        raise click.BadParameter("is not an http(s) URL", param_hint="--webhook-url")
    try:
        work = alone(host, port, webhook_url, speed, say)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        with logs_set_up("info", "text"):
            code = _run(_until_signalled(work))
        sys.exit(code)
    except OSError as error:
        tell(f"telnyx-gateway: cannot listen on {host}:{port}: {error}")
        sys.exit(EXIT_FAILED)


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


@main.command()
@click.option(
    "--address", default=DEFAULT_GRPC_ADDRESS, show_default=True, help="Address of the gateway."
)
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
    address: str,
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
    sys.exit(_run(_until_signalled(while_read(_tail(address, request, as_json)))))


@main.command()
def token() -> None:
    """Print a new token for a caller, and the identity to add to the file in GATEWAY_CALLERS."""
    made = new_token()
    say(made)
    tell(f"-- for the callers file: {line_for_file(made)}")


@main.command()
def version() -> None:
    """Print the version."""
    say(gateway_version())


def _served(settings: Settings, simulation: "Simulation | None" = None) -> int:
    """Serve until a signal comes; returns the exit code."""
    with logs_set_up(settings.log_level, settings.log_format) as counts:
        failed = _run(_serve(settings, counts, simulation))
    if failed is None:
        return 0
    tell(f"telnyx-gateway: {failed}")
    return EXIT_FAILED


async def _serve(
    settings: Settings, counts: LogCounts, simulation: "Simulation | None"
) -> Exception | None:
    """Serve until a signal comes; returns why it could not begin."""
    tune_interpreter()
    raise_descriptors()
    stopped = _signalled()
    try:
        gateway = await Gateway.start(settings, logs=counts)
    except (AccessError, BindingError, CallersFileError, LogError, OSError) as error:
        return error
    # What has been made up to here stays, and need not be walked over at all.
    gc.freeze()
    upkeep = asyncio.create_task(kept_running("memory", MemoryUpkeep.of_this_process().run))
    _log.info("gRPC on %s", gateway.grpc_address)
    _log.info("webhooks on http://%s%s", gateway.http_address, WEBHOOK_PATH)
    _log.info("events in %s", settings.event_log)
    if simulation is None:
        _log.info("provider %s", settings.base_url)
        for line in unread(environment()):
            _log.info("%s", line)
    else:
        simulation.post_webhooks_to(f"http://{gateway.http_address}{WEBHOOK_PATH}")
        for line in simulation.lines:
            _log.info("%s", line)
    await stopped.wait()
    _log.info("shutting down; a second signal exits at once")
    await gateway.stop()
    upkeep.cancel()
    _log.info("stopped")
    return None


async def _demo(settings: Settings, simulation: "Simulation") -> bool:
    gateway = await Gateway.start(settings)
    simulation.post_webhooks_to(f"http://{gateway.http_address}{WEBHOOK_PATH}")
    try:
        async with grpc.aio.insecure_channel(str(gateway.grpc_address)) as channel:
            return await Demo(channel, Cast(*simulation.calls), say).run()
    finally:
        await gateway.stop()


async def _tail(address: str, request: SubscribeRequest, as_json: bool) -> int:
    text = EventText()

    async with grpc.aio.insecure_channel(address, options=TAIL_CHANNEL_OPTIONS) as channel:
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
            return EXIT_FAILED
        finally:
            if following.has_received and resumable:
                tell(f"-- to resume from here: --after {following.cursor}")
    return 0


def _settings(env: Mapping[str, str]) -> Settings:
    try:
        return load_settings(env)
    except SettingsError as error:
        tell("telnyx-gateway: invalid settings:")
        for line in str(error).splitlines():
            tell(f"  {line}")
        tell("To try it without an account: telnyx-gateway serve --sandbox")
        sys.exit(EXIT_USAGE)


def _run(main_: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main_)


def _signalled() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one exits at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_signal(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stopped


async def _until_signalled(work: Coroutine[Any, Any, Any]) -> int:
    stopped = asyncio.create_task(_signalled().wait())
    task = asyncio.create_task(work)
    await asyncio.wait((stopped, task), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return int(task.result() or 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return 0


def _moment(text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.UsageError(f"--since {text!r} is not a time such as 2026-01-31T12:00") from None
    result = Timestamp()
    result.FromDatetime(moment)
    return result
