"""The command `doctor`: what is wrong, in the order in which to mend it."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from gateway.client.event_text import shown
from gateway.config import Settings, SettingsError, environment, load_settings
from gateway.doctor import addresses, broker, disk, files, provider
from gateway.doctor.finding import Finding, State, fault, ok
from gateway.healthcheck import LIVE, admin_address, admin_tls, trouble_of
from gateway.homes import examined
from gateway.output import say
from gateway.running import run
from gateway.values import StreamUrl

# The exit code of a run that found a fault.
_FAILED = 1

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAULT: "red"}


def doctor_of(version: str) -> click.Command:
    """Return the command; `version` is the gateway's own, which the provider is told."""

    @click.command()
    @click.option("--json", "as_json", is_flag=True, help="Print each finding as a line of JSON.")
    def doctor(as_json: bool) -> None:
        """Check settings, files, addresses, disk, NATS, provider, key, clock and webhooks.

        Says what is wrong in the order in which to mend it, and changes nothing. Run it with the
        settings that the gateway has, whether that runs or not. Fails if something does not work.
        """
        # What is to be told is in the findings.
        logging.disable(logging.CRITICAL)
        found = list(_findings(environment(), f"telnyx-grpc-gateway/{version}"))
        for finding in found:
            say(_json(finding) if as_json else _text(finding))
        sys.exit(_FAILED if any(it.state is State.FAULT for it in found) else 0)

    return doctor


def _findings(env: Mapping[str, str], user_agent: str) -> Iterable[Finding]:
    try:
        settings = load_settings(env)
    except SettingsError as error:
        yield from (fault("settings", line, "") for line in str(error).splitlines())
        return
    yield ok("settings", f"{len(settings.model_fields_set)} set, no mistake")
    yield from _of(settings, env, user_agent)


def _of(settings: Settings, env: Mapping[str, str], user_agent: str) -> Iterable[Finding]:
    runs = _runs(env)
    yield from files.findings(settings)
    yield from addresses.findings(settings, runs=runs is None)
    yield disk.finding(settings)
    if isinstance(where := settings.event_log, StreamUrl):
        yield from broker.findings(settings, run(examined(where, settings)))
    asked: Sequence[Finding] = run(provider.findings(settings, user_agent))
    yield from asked


def _runs(env: Mapping[str, str]) -> str | None:
    """Return None if a gateway runs with these settings, else why it seems that none does."""
    try:
        return trouble_of(admin_address(env), LIVE, admin_tls(env))
    except ValueError as error:
        return str(error)


def _text(finding: Finding) -> str:
    state = click.style(f"{finding.state.value:<6}", fg=_COLOURS[finding.state], bold=True)
    line = f"{state} {finding.subject:<22} {shown(finding.text)}"
    return line if not finding.mend else f"{line}\n{'':<7}{'':<22} -> {shown(finding.mend)}"


def _json(finding: Finding) -> str:
    return json.dumps(
        {
            "subject": finding.subject,
            "state": finding.state.name.lower(),
            "text": finding.text,
            "mend": finding.mend,
        }
    )
