"""The command line: its commands, and what they run."""

import asyncio
import gc
import logging
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gateway import healthcheck
from gateway.address import Address, TcpAddress
from gateway.app import Gateway
from gateway.background import kept_running
from gateway.callers.errors import CallersFileError
from gateway.callers.tokens import line_for_file, new_token
from gateway.calling import call, describe, list_
from gateway.client.channel import Connection
from gateway.client.demo import Cast, Demo
from gateway.client.subscription import ANY_OF_SEVERAL
from gateway.completing import completion
from gateway.config import (
    Settings,
    SettingsError,
    environment,
    file_names,
    load_settings,
)
from gateway.doctoring import doctor_of
from gateway.ingest.webhooks.receiver import WEBHOOK_PATH
from gateway.journal.errors import LogError
from gateway.keeping import log
from gateway.memory import MemoryUpkeep
from gateway.names import unread
from gateway.output import Program, is_coloured, say, tell
from gateway.playing import Wanted, plays
from gateway.ports import HTTP
from gateway.process import raise_descriptors, tune_interpreter
from gateway.replicas import ReplicasError, running_replicas
from gateway.running import ended, run, signalled, until_signalled
from gateway.schema.access import AccessError
from gateway.schema.binding import BindingError
from gateway.tailing import tail
from gateway.telemetry.logs import Logs, logs_set_up
from gateway.telemetry.tracing import traces_of
from gateway.textfiles import overlaid
from gateway.tls.credentials import CredentialsError
from gateway.version import gateway_version

if TYPE_CHECKING:
    from gateway.simulation import Simulation

# Exit codes: wrong settings or usage (click's own), and a run that failed.
EXIT_USAGE = 2
EXIT_FAILED = 1

# What the names of all settings begin with, those of libraries too.
_SETTINGS = ("GATEWAY_", "OTEL_", "TELNYX_")

# The demonstration's speech takes a fraction of a second.
_DEMO_SPEED = 10.0

_log = logging.getLogger("gateway")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Run a gRPC gateway for Telnyx voice conferencing."""
    context.color = is_coloured(environment())


@main.command()
@click.option("--sandbox", is_flag=True, help="Use a simulated Telnyx; no key is needed.")
@plays
def serve(sandbox: bool, wanted: Wanted) -> None:
    """Serve gRPC, and receive webhooks over HTTP.

    Settings are environment variables; the README lists them. The other options are for --sandbox.
    """
    if not sandbox:
        if wanted.option:
            raise click.UsageError(f"{wanted.option} requires --sandbox")
        sys.exit(_served(_settings(environment())))
    from gateway.simulation import simulated  # noqa: PLC0415 - see there

    with simulated(wanted.speed, wanted.piece()) as simulation:
        settings = _settings(overlaid(environment(), simulation.settings, file_names()))
        if not isinstance(settings.http_address, TcpAddress) or settings.http_tls_cert:
            tell(
                "telnyx-gateway: the simulated Telnyx posts to a port, in clear: unset"
                f" {HTTP.address} and {HTTP.cert}"
            )
            sys.exit(EXIT_USAGE)
        sys.exit(_served(settings, simulation))


@main.command()
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1, 9),
    help="Run so many gateways with one log in NATS, and kill one of them on the way.",
)
def demo(replicas: int) -> None:
    """Send commands and print their events, against a simulated Telnyx."""
    from gateway.simulation import simulated  # noqa: PLC0415 - see there

    with (
        logs_set_up("warning", "text"),
        tempfile.TemporaryDirectory() as folder,
        simulated(_DEMO_SPEED) as simulation,
    ):
        if replicas > 1:
            try:
                ok = run(_demo_of_replicas(replicas, Path(folder), simulation))
            except ReplicasError as error:
                tell(f"telnyx-gateway: {error}")
                sys.exit(EXIT_FAILED)
            _told(ok)
        chosen = {
            **simulation.settings,
            "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
            "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
            "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
            "GATEWAY_EVENT_LOG": f"sqlite:///{Path(folder) / 'events.db'}",
        }
        ok = run(_demo(load_settings(chosen), simulation))
    _told(ok)


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
@plays
@click.option("--list-scenarios", is_flag=True, help="List the scenarios of the package, and exit.")
def sandbox(
    host: str, port: int, webhook_url: str | None, wanted: Wanted, list_scenarios: bool
) -> None:
    """Run only the simulated Telnyx.

    Prints the settings with which a gateway uses it. Its webhooks go to --webhook-url.
    """
    from gateway.simulation import alone, scenario_lines  # noqa: PLC0415 - see there

    if list_scenarios:
        for line in scenario_lines():
            say(line)
        return
    if webhook_url and not webhook_url.startswith(("http://", "https://")):
        raise click.BadParameter("is not an http(s) URL", param_hint="--webhook-url")
    work = alone(host, port, webhook_url, wanted.speed, say, wanted.piece(), _log_step)
    try:
        with logs_set_up("info", "text"):
            code = run(until_signalled(work))
        sys.exit(code)
    except OSError as error:
        tell(f"telnyx-gateway: cannot listen on {host}:{port}: {error}")
        sys.exit(EXIT_FAILED)


main.add_command(call)
main.add_command(list_)
main.add_command(describe)
main.add_command(tail)
main.add_command(doctor_of(gateway_version()))
main.add_command(log)
main.add_command(completion)


@main.command()
@click.option("--ready", is_flag=True, help="Also fail while it is not ready, and say why.")
def health(ready: bool) -> None:
    """Ask a running gateway how it is; fails if it does not work.

    It is asked at GATEWAY_ADMIN_ADDRESS.
    """
    sys.exit(healthcheck.main(["--ready"] if ready else [], environment()))


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
    with logs_set_up(settings.log_level, settings.log_format) as logs:
        failed = run(_serve(settings, logs, simulation))
    if failed is None:
        return 0
    tell(f"telnyx-gateway: {failed}")
    return EXIT_FAILED


async def _serve(
    settings: Settings, logs: Logs, simulation: "Simulation | None"
) -> Exception | None:
    """Serve until a signal comes; returns why it could not begin."""
    tune_interpreter()
    raise_descriptors()
    stopped = signalled()
    try:
        traces = traces_of(environment(), gateway_version())
        starting = asyncio.create_task(Gateway.start(settings, logs=logs, traces=traces))
        # It may take long where the index of a log is filled.
        if not await ended(starting, stopped):
            return None
        gateway = starting.result()
    except (
        AccessError,
        BindingError,
        CallersFileError,
        CredentialsError,
        LogError,
        OSError,
    ) as error:
        return error
    # What has been made up to here stays, and need not be walked over at all.
    gc.freeze()
    upkeep = asyncio.create_task(kept_running("memory", MemoryUpkeep.of_this_process().run))
    _log.info("gRPC on %s%s", gateway.grpc_address, " in TLS" if settings.grpc_tls_cert else "")
    _log.info("webhooks on %s", _page(gateway.http_address, WEBHOOK_PATH, settings.http_tls_cert))
    _log.info(
        "health and metrics on %s", _page(gateway.admin_address, "/", settings.admin_tls_cert)
    )
    _log.info("events in %s", settings.event_log)
    if simulation is None:
        _log.info("provider %s", settings.base_url)
        for line in unread(environment()):
            _log.info("%s", line)
    else:
        simulation.post_webhooks_to(f"http://{gateway.http_address}{WEBHOOK_PATH}")
        for line in simulation.lines:
            _log.info("%s", line)
    async with _playing(settings, str(gateway.grpc_address), simulation):
        await stopped.wait()
    _log.info("shutting down; a second signal exits at once")
    await gateway.stop()
    upkeep.cancel()
    _log.info("stopped")
    return None


def _playing(
    settings: Settings, address: str, simulation: "Simulation | None"
) -> AbstractAsyncContextManager[None]:
    """Return in what context the simulated provider plays what is wanted."""
    if simulation is None or simulation.piece is None:
        return nullcontext()
    is_open = not settings.grpc_tls_cert and not settings.callers
    if not is_open:
        _log.info(
            "a scenario's commands go straight to the simulated provider: this gateway"
            " serves in TLS, or known callers alone"
        )
    return simulation.playing(address if is_open else None, _log_step)


def _log_step(line: str) -> None:
    """Log what has been played, each step of it."""
    _log.info("%s", line, extra={"is_thinned": False})


async def _demo(settings: Settings, simulation: "Simulation") -> bool:
    gateway = await Gateway.start(settings)
    simulation.post_webhooks_to(f"http://{gateway.http_address}{WEBHOOK_PATH}")
    try:
        async with Connection(str(gateway.grpc_address)).open() as channel:
            return await Demo(channel, Cast(*simulation.calls), say).run()
    finally:
        await gateway.stop()


async def _demo_of_replicas(count: int, folder: Path, simulation: "Simulation") -> bool:
    # Settings of gateways that are run in earnest have no place here.
    env = {name: it for name, it in environment().items() if not name.startswith(_SETTINGS)}
    env |= {**simulation.settings, "GATEWAY_BACKFILL": "off"}
    async with running_replicas(count, folder, env) as replicas:
        first, second, *_ = (f"http://{it.http_address}{WEBHOOK_PATH}" for it in replicas)
        simulation.post_webhooks_to(first, second)

        async def kill_one() -> None:
            await replicas[0].kill()
            say(f"  !!   gateway 1 of {count} was killed, the one that webhooks go to")

        addresses = ",".join(it.grpc_address for it in replicas)
        async with Connection(f"ipv4:{addresses}").open(ANY_OF_SEVERAL) as channel:
            return await Demo(channel, Cast(*simulation.calls), say, kill_one).run()


def _told(ok: bool) -> NoReturn:
    """Say how the demonstration ended, and end."""
    say(click.style("every event arrived" if ok else "the demonstration FAILED", bold=True))
    sys.exit(0 if ok else EXIT_FAILED)


def _page(address: Address, path: str, cert: Path | None) -> str:
    """Return where a path is found at an address, for people."""
    if isinstance(address, TcpAddress):
        return f"http{'s' if cert else ''}://{address}{path}"
    return f"{address} ({path}{', in TLS' if cert else ''})"


def _settings(env: Mapping[str, str]) -> Settings:
    try:
        return load_settings(env)
    except SettingsError as error:
        tell("telnyx-gateway: invalid settings:")
        for line in str(error).splitlines():
            tell(f"  {line}")
        if not env.keys() & {"TELNYX_API_KEY", "TELNYX_API_KEY_FILE"}:
            tell("To try it without an account: telnyx-gateway serve --sandbox")
        sys.exit(EXIT_USAGE)
