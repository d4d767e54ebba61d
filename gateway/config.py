"""Settings from the environment, checked all at once when the process starts.

The only module that reads the environment. Secrets are held as SecretStr, which shows stars.
"""

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from gateway import values
from gateway.clashes import clashes, mistakes_of_system
from gateway.fields import (
    File,
    Trust,
    Where,
    Word,
    cert_of,
    client_ca_of,
    duration,
    key_of,
    named,
    read_by,
    secret,
    trust_of,
)
from gateway.names import SDK_NAMES, NameJudge
from gateway.natssettings import LogSettings
from gateway.ports import ADMIN, GRPC, HTTP, PORTS
from gateway.textfiles import read_texts
from gateway.tls.files import TlsFiles
from gateway.values import Certificates

DEFAULT_BASE_URL = "https://api.telnyx.com/v2"


class SettingsError(Exception):
    """Settings that cannot be used. The text lists every mistake, a line each."""


class Settings(LogSettings):
    """Everything that can be set, by the name of its environment variable."""

    model_config = ConfigDict(
        frozen=True, validate_default=True, hide_input_in_errors=True, ser_json_bytes="base64"
    )

    api_key: Annotated[SecretStr, secret(values.read_api_key)] | None = named(
        "TELNYX_API_KEY", None, "The provider's API key (v2).", may_be_filed=True
    )
    public_keys: Annotated[tuple[bytes, ...], read_by(values.read_public_keys)] = named(
        "TELNYX_PUBLIC_KEY",
        (),
        "The provider's public keys for verifying webhooks, separated by commas.",
        may_be_filed=True,
    )
    base_url: Annotated[str, read_by(values.read_base_url)] = named(
        "TELNYX_BASE_URL", DEFAULT_BASE_URL, "The provider's REST base URL."
    )
    grpc_address: Where = named(GRPC.address, GRPC.default, "Address to serve gRPC on.")
    grpc_trust: Trust = trust_of(GRPC)
    grpc_tls_cert: File = cert_of(GRPC)
    grpc_tls_key: File = key_of(GRPC)
    grpc_tls_client_ca: File = client_ca_of(GRPC)
    grpc_connections: Annotated[int, read_by(values.read_count, 1, 100_000)] = named(
        "GATEWAY_GRPC_CONNECTIONS",
        2_000,
        "Maximum number of open gRPC connections; further ones are closed on arrival.",
    )
    http_address: Where = named(HTTP.address, HTTP.default, "Address to receive webhooks on.")
    http_trust: Trust = trust_of(HTTP)
    http_tls_cert: File = cert_of(HTTP)
    http_tls_key: File = key_of(HTTP)
    http_tls_client_ca: File = client_ca_of(HTTP)
    admin_address: Where = named(
        ADMIN.address, ADMIN.default, "Address to serve health and metrics on."
    )
    admin_trust: Trust = trust_of(ADMIN)
    admin_tls_cert: File = cert_of(ADMIN)
    admin_tls_key: File = key_of(ADMIN)
    admin_tls_client_ca: File = client_ca_of(ADMIN)
    console: Annotated[Literal["off", "view", "commands"], Word] = named(
        "GATEWAY_CONSOLE",
        "view",
        "What the console at `/console` on the admin address is for: to `view`, also for"
        " `commands`, or nothing (`off`). Where other hosts reach that address, it needs"
        " `GATEWAY_CALLERS`.",
    )
    callers: Annotated[Path, read_by(values.read_file_path)] | None = named(
        "GATEWAY_CALLERS",
        None,
        "File of callers (TOML): who may call, and what. Unset: everybody who reaches the gRPC port"
        " may call everything.",
    )
    reflection: Annotated[Literal["open", "callers", "off"], Word] = named(
        "GATEWAY_REFLECTION",
        "open",
        "Whom gRPC reflection responds to: everybody (`open`), known `callers`, or nobody (`off`).",
    )
    health: Annotated[Literal["open", "callers"], Word] = named(
        "GATEWAY_HEALTH",
        "open",
        "Whom `grpc.health.v1` responds to: everybody (`open`) or known `callers`.",
    )
    retention_age: Annotated[float, duration("1s", "3650d")] = named(
        "GATEWAY_RETENTION_AGE",
        "7d",
        "Maximum age of events; older ones are deleted once the provider's clock agrees with the"
        " gateway's. A NATS stream that is there already keeps its own limits.",
    )
    retention_size: Annotated[int, read_by(values.read_size, "1KiB", "1024TiB")] = named(
        "GATEWAY_RETENTION_SIZE",
        "4GiB",
        "Maximum size of the log's file, or of a NATS stream that is made; the oldest events are"
        " deleted to keep it below that.",
    )
    call_timeout: Annotated[float, duration("0.1s", "1h")] = named(
        "GATEWAY_CALL_TIMEOUT", "10s", "Deadline of commands and queries that set none."
    )
    upstream_proxy: Annotated[SecretStr, secret(values.read_proxy)] | None = named(
        "GATEWAY_UPSTREAM_PROXY",
        None,
        "HTTP proxy for requests to the provider: `http://[user:password@]host:port`.",
        may_be_filed=True,
    )
    upstream_ca: Annotated[Certificates, read_by(values.read_certificates)] | None = named(
        "GATEWAY_UPSTREAM_CA",
        None,
        "File of CA certificates (PEM) to trust in addition to the system's.",
    )
    upstream_plaintext: Annotated[Literal["refused", "allowed"], Word] = named(
        "GATEWAY_UPSTREAM_PLAINTEXT",
        "refused",
        "Whether `TELNYX_BASE_URL` may be `http://` to another host, which sends the API key"
        " unencrypted: `allowed` or `refused`.",
    )
    upstream_in_flight: Annotated[int, read_by(values.read_count, 1, 10_000)] = named(
        "GATEWAY_UPSTREAM_IN_FLIGHT",
        100,
        "Maximum number of requests in flight to the provider, not counting those that their"
        " callers have abandoned.",
    )
    upstream_waiting: Annotated[int, read_by(values.read_count, 0, 100_000)] = named(
        "GATEWAY_UPSTREAM_WAITING",
        1_000,
        "Maximum number of requests waiting to be sent; further RPCs are rejected at once.",
    )
    upstream_share: Annotated[Fraction, read_by(values.read_share)] = named(
        "GATEWAY_UPSTREAM_SHARE",
        "1",
        "This replica's share of `GATEWAY_UPSTREAM_IN_FLIGHT` and `GATEWAY_WATCH_REQUESTS`, which"
        " then are limits for all replicas together: `1/3` for one of three.",
    )
    watch_requests: Annotated[int, read_by(values.read_count, 1, 10_000)] = named(
        "GATEWAY_WATCH_REQUESTS",
        50,
        "Maximum number of requests per second that read watched conferences, for all of them"
        " together; bursts may be ten times as large. One read takes two requests.",
    )
    upstream_probe: Annotated[Literal["on", "off"], Word] = named(
        "GATEWAY_UPSTREAM_PROBE",
        "on",
        "Whether to probe the provider at the start and after 15 s of silence: `on` or `off`.",
    )
    hedge_after: Annotated[float, duration("0.01s", "10s")] | None = named(
        "GATEWAY_HEDGE_AFTER",
        None,
        "Hedging: a request without a response after this long is sent once more in parallel, where"
        " that is harmless. Unset: after half of the RPC's remaining time, 1 s to 10 s.",
    )
    webhook_tolerance: Annotated[float, duration("1s", "1d")] = named(
        "GATEWAY_WEBHOOK_TOLERANCE",
        "300s",
        "Maximum difference between a webhook's timestamp and the clock.",
    )
    webhook_urls: Annotated[tuple[str, ...], read_by(values.read_webhook_urls)] = named(
        "GATEWAY_WEBHOOK_URL",
        (),
        "URLs that the provider posts webhooks to, separated by commas; backfill takes only what"
        " was sent there. Unset: any URL ending in `/webhooks/telnyx`.",
    )
    backfill: Annotated[Literal["on", "off"], Word] = named(
        "GATEWAY_BACKFILL",
        "on",
        "Whether to fetch missed webhooks from the provider: `on` or `off`.",
    )
    backfill_interval: Annotated[float, duration("0.1s", "1d")] = named(
        "GATEWAY_BACKFILL_INTERVAL", "60s", "How often to ask the provider for missed webhooks."
    )
    stream_age_max: Annotated[float, duration("0.1s", "1d")] = named(
        "GATEWAY_STREAM_AGE_MAX", "1h", "Maximum age of a stream; it is then closed gracefully."
    )
    drain_timeout: Annotated[float, duration("0.1s", "1h")] = named(
        "GATEWAY_DRAIN_TIMEOUT", "20s", "How long a shutdown waits for RPCs in flight."
    )
    buffers: Annotated[int, read_by(values.read_size, "16MiB", "1TiB")] | None = named(
        "GATEWAY_BUFFERS",
        None,
        "Maximum size of all buffers together; above it new work is rejected. Unset: `128MiB`, or a"
        " quarter of the container's memory if that is less.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = named(
        "GATEWAY_LOG_LEVEL",
        "info",
        "Lowest level of messages to log: `debug`, `info`, `warning` or `error`.",
    )
    log_format: Annotated[Literal["text", "json"], Word] = named(
        "GATEWAY_LOG_FORMAT", "text", "Format of log messages: `text` or `json`."
    )
    access_log: Annotated[Literal["off", "failures", "all"], Word] = named(
        "GATEWAY_ACCESS_LOG",
        "failures",
        "Which RPCs and webhooks have a line in the log output: `failures` and slow ones, `all`, or"
        " `off`; those that the gateway rejected or is at fault for always have one.",
    )
    slow_call: Annotated[float, duration("0.001s", "1h")] = named(
        "GATEWAY_SLOW_CALL",
        "1s",
        "How long an RPC that is no stream, or a webhook, may take before it counts as slow.",
    )

    _files: dict[str, Path] = PrivateAttr(default_factory=dict)

    def tls_files(self) -> list[TlsFiles]:
        """Return where the certificates are of the addresses that are served in TLS."""
        files = {
            str(field.alias): str(path)
            for name, field in type(self).model_fields.items()
            if isinstance(path := getattr(self, name), Path)
        }
        return [it for port in PORTS if (it := port.tls_files(files)) is not None]

    def share_of(self, limit: int) -> int:
        """Return this replica's share of a limit that all replicas have together; at least one."""
        return max(1, int(limit * self.upstream_share))

    @property
    def files(self) -> Mapping[str, Path]:
        """The settings that were read from files, by their names."""
        return self._files

    def value(self, name: str) -> Any:
        """Return a setting's value by its name."""
        fields = type(self).model_fields.items()
        return getattr(self, next(attribute for attribute, it in fields if it.alias == name))


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def load_settings(env: Mapping[str, str]) -> Settings:
    """Read and check all settings; blanks around a value do not count.

    Raises SettingsError with every mistake, misspelt and missing names included.
    """
    # An empty variable is one that somebody meant to unset.
    given = {name: text for name in names() if (text := env.get(name, "").strip())}
    filed = read_texts(env, file_names())
    given |= filed.texts
    mistakes = NameJudge((*names(), *file_names().values()), SDK_NAMES).misspelt(env)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(given)
        settings._files.update(filed.paths)
    except ValidationError as error:
        for detail in error.errors(include_input=False):
            mistakes.append(_mistake(detail, given, filed.paths))
    mistakes += filed.mistakes
    mistakes += clashes({"TELNYX_BASE_URL": DEFAULT_BASE_URL, **given})
    mistakes += mistakes_of_system(env)
    for name, hint in (
        ("TELNYX_API_KEY", "an API key (v2) from the provider's portal"),
        ("TELNYX_PUBLIC_KEY", "the public key that the portal shows beside it"),
    ):
        if name not in given and name not in filed.paths:
            mistakes.append(f"{name} is not set: set it to {hint}")
    if mistakes or settings is None:
        raise SettingsError("\n".join(mistakes))
    return settings


def load_log_settings(env: Mapping[str, str], *others: str) -> Settings:
    """Read and check what is about the log's place, and some other settings by their names.

    For who needs no more: all that is left has its default. Raises SettingsError.
    """
    about = {str(it.alias) for it in LogSettings.model_fields.values()} | {*others}
    given = {name: text for name in about if (text := env.get(name, "").strip())}
    mistakes = clashes({"TELNYX_BASE_URL": DEFAULT_BASE_URL, **given})
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        mistakes += [_mistake(it, given, {}) for it in error.errors(include_input=False)]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def names() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(str(field.alias) for field in Settings.model_fields.values())


def file_names() -> dict[str, str]:
    """Return the settings whose text can be in a file, each with the name that says in which."""
    return {
        str(field.alias): f"{field.alias}_FILE"
        for field in Settings.model_fields.values()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra["may_be_filed"]
    }


def read_value(name: str, text: str) -> Any:
    """Return what the text of a setting means. Raises ValueError; its words follow the name."""
    try:
        settings = Settings.model_validate({name: text})
    except ValidationError as error:
        (detail,) = error.errors(include_input=False)
        raise ValueError(_words(detail)) from None
    return settings.value(name)


def revealed(value: Any) -> Any:
    """Return a setting's value, out of its cover if it is a secret."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _mistake(detail: Any, given: Mapping[str, str], files: Mapping[str, Path]) -> str:
    name = str(detail["loc"][0])
    shown = f"{name} (from {files[name]})" if name in files else name
    quoted = given.get(name, "")[:1] in ("'", '"')
    return f"{shown} {_words(detail)}{'; leave out the quotes' if quoted else ''}"


def _words(detail: Any) -> str:
    if detail["type"] == "literal_error":
        return f"is not one of {detail['ctx']['expected']}"
    return str(detail["msg"]).removeprefix("Value error, ")
