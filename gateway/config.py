"""Settings from the environment, checked all at once when the process starts.

The only module that reads the environment. Secrets are held as SecretStr, which shows stars.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from gateway import values
from gateway.address import Address, read_address
from gateway.clashes import mistakes_together
from gateway.names import NameJudge
from gateway.ports import ADMIN, GRPC, HTTP, PORTS, Port, mistakes_of_ports
from gateway.tls.files import TlsFiles
from gateway.values import Certificates

DEFAULT_BASE_URL = "https://api.telnyx.com/v2"
DEFAULT_EVENT_LOG = "sqlite:///.gateway/events.db"

# What the official SDK reads beside the names that it shares with the gateway.
SDK_NAMES = frozenset(
    {"TELNYX_CLIENT_ID", "TELNYX_CLIENT_SECRET", "TELNYX_CUSTOM_HEADERS", "TELNYX_LOG"}
)

# What other programs read, and the gateway's own setting for the same.
_OF_OTHER_PROGRAMS = {
    "GATEWAY_UPSTREAM_PROXY": ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
    "GATEWAY_UPSTREAM_CA": ("REQUESTS_CA_BUNDLE",),
}


class SettingsError(Exception):
    """Settings that cannot be used. The text lists every mistake, a line each."""


def _read(reader: Callable[..., Any], *bounds: Any) -> BeforeValidator:
    """Return what turns a text into a value, and leaves values alone."""

    def read(value: Any) -> Any:
        return reader(value, *bounds) if isinstance(value, str) else value

    return BeforeValidator(read)


def _secret(reader: Callable[[str], str]) -> BeforeValidator:
    return _read(lambda text: SecretStr(reader(text)))


Where = Annotated[Address, _read(read_address)]
Word = _read(str.lower)
File = Annotated[Path, _read(Path)] | None
Trust = Annotated[Literal["none", "network"], Word]


def _duration(least: str, most: str) -> BeforeValidator:
    return _read(values.read_duration, least, most)


def _cert(port: Port) -> Any:
    meaning = (
        f"File of the certificate (PEM, the chain after it) that `{port.address}` is served with in"
        " TLS. Unset: in clear."
    )
    return _named(port.cert, None, meaning)


def _key(port: Port) -> Any:
    return _named(port.key, None, f"File of the key (PEM) of `{port.cert}`.")


def _client_ca(port: Port) -> Any:
    meaning = (
        "File of CA certificates (PEM); clients must have a certificate that one of them signed."
    )
    return _named(port.client_ca, None, meaning)


def _trust(port: Port) -> Any:
    meaning = (
        f"Whether `{port.address}` may be open to other hosts without TLS: `network` if a sidecar"
        " or a private network guards it, or `none`."
    )
    return _named(port.trust, "none", meaning)


def _named(name: str, default: Any, description: str) -> Any:
    return Field(default, alias=name, description=description)


class Settings(BaseModel):
    """Everything that can be set, by the name of its environment variable."""

    model_config = ConfigDict(
        frozen=True, validate_default=True, hide_input_in_errors=True, ser_json_bytes="base64"
    )

    api_key: Annotated[SecretStr, _secret(values.read_api_key)] | None = _named(
        "TELNYX_API_KEY", None, "The provider's API key (v2)."
    )
    public_keys: Annotated[tuple[bytes, ...], _read(values.read_public_keys)] = _named(
        "TELNYX_PUBLIC_KEY",
        (),
        "The provider's public keys for verifying webhooks, separated by commas.",
    )
    base_url: Annotated[str, _read(values.read_base_url)] = _named(
        "TELNYX_BASE_URL", DEFAULT_BASE_URL, "The provider's REST base URL."
    )
    grpc_address: Where = _named(GRPC.address, GRPC.default, "Address to serve gRPC on.")
    grpc_trust: Trust = _trust(GRPC)
    grpc_tls_cert: File = _cert(GRPC)
    grpc_tls_key: File = _key(GRPC)
    grpc_tls_client_ca: File = _client_ca(GRPC)
    grpc_connections: Annotated[int, _read(values.read_count, 1, 100_000)] = _named(
        "GATEWAY_GRPC_CONNECTIONS",
        2_000,
        "Maximum number of open gRPC connections; further ones are closed on arrival.",
    )
    http_address: Where = _named(HTTP.address, HTTP.default, "Address to receive webhooks on.")
    http_trust: Trust = _trust(HTTP)
    http_tls_cert: File = _cert(HTTP)
    http_tls_key: File = _key(HTTP)
    http_tls_client_ca: File = _client_ca(HTTP)
    admin_address: Where = _named(
        ADMIN.address, ADMIN.default, "Address to serve health and metrics on."
    )
    admin_trust: Trust = _trust(ADMIN)
    admin_tls_cert: File = _cert(ADMIN)
    admin_tls_key: File = _key(ADMIN)
    admin_tls_client_ca: File = _client_ca(ADMIN)
    callers: Annotated[Path, _read(values.read_file_path)] | None = _named(
        "GATEWAY_CALLERS",
        None,
        "File of callers (TOML): who may call, and what. Unset: everybody who reaches the gRPC port"
        " may call everything.",
    )
    reflection: Annotated[Literal["open", "callers", "off"], Word] = _named(
        "GATEWAY_REFLECTION",
        "open",
        "Whom gRPC reflection responds to: everybody (`open`), known `callers`, or nobody (`off`).",
    )
    health: Annotated[Literal["open", "callers"], Word] = _named(
        "GATEWAY_HEALTH",
        "open",
        "Whom `grpc.health.v1` responds to: everybody (`open`) or known `callers`.",
    )
    event_log: Annotated[Path, _read(values.read_event_log)] = _named(
        "GATEWAY_EVENT_LOG", DEFAULT_EVENT_LOG, "Where to store events."
    )
    retention_age: Annotated[float, _duration("1s", "3650d")] = _named(
        "GATEWAY_RETENTION_AGE",
        "7d",
        "Maximum age of events; older ones are deleted once the provider's clock agrees with the"
        " gateway's.",
    )
    retention_size: Annotated[int, _read(values.read_size, "1KiB", "1024TiB")] = _named(
        "GATEWAY_RETENTION_SIZE",
        "4GiB",
        "Maximum size of the log's file; the oldest events are deleted to keep it below that.",
    )
    call_timeout: Annotated[float, _duration("0.1s", "1h")] = _named(
        "GATEWAY_CALL_TIMEOUT", "10s", "Deadline of commands and queries that set none."
    )
    upstream_proxy: Annotated[SecretStr, _secret(values.read_proxy)] | None = _named(
        "GATEWAY_UPSTREAM_PROXY",
        None,
        "HTTP proxy for requests to the provider: `http://[user:password@]host:port`.",
    )
    upstream_ca: Annotated[Certificates, _read(values.read_certificates)] | None = _named(
        "GATEWAY_UPSTREAM_CA",
        None,
        "File of CA certificates (PEM) to trust in addition to the system's.",
    )
    upstream_plaintext: Annotated[Literal["refused", "allowed"], Word] = _named(
        "GATEWAY_UPSTREAM_PLAINTEXT",
        "refused",
        "Whether `TELNYX_BASE_URL` may be `http://` to another host, which sends the API key"
        " unencrypted: `allowed` or `refused`.",
    )
    upstream_in_flight: Annotated[int, _read(values.read_count, 1, 10_000)] = _named(
        "GATEWAY_UPSTREAM_IN_FLIGHT",
        100,
        "Maximum number of requests in flight to the provider, not counting those that their"
        " callers have abandoned.",
    )
    upstream_waiting: Annotated[int, _read(values.read_count, 0, 100_000)] = _named(
        "GATEWAY_UPSTREAM_WAITING",
        1_000,
        "Maximum number of requests waiting to be sent; further RPCs are rejected at once.",
    )
    watch_requests: Annotated[int, _read(values.read_count, 1, 10_000)] = _named(
        "GATEWAY_WATCH_REQUESTS",
        50,
        "Maximum number of requests per second that read watched conferences, for all of them"
        " together; bursts may be ten times as large. One read takes two requests.",
    )
    upstream_probe: Annotated[Literal["on", "off"], Word] = _named(
        "GATEWAY_UPSTREAM_PROBE",
        "on",
        "Whether to probe the provider at the start and after 20 s of silence: `on` or `off`.",
    )
    hedge_after: Annotated[float, _duration("0.01s", "10s")] | None = _named(
        "GATEWAY_HEDGE_AFTER",
        None,
        "Hedging: a request without a response after this long is sent once more in parallel, where"
        " that is harmless. Unset: after half of the RPC's remaining time, 1 s to 10 s.",
    )
    webhook_tolerance: Annotated[float, _duration("1s", "1d")] = _named(
        "GATEWAY_WEBHOOK_TOLERANCE",
        "300s",
        "Maximum difference between a webhook's timestamp and the clock.",
    )
    webhook_urls: Annotated[tuple[str, ...], _read(values.read_webhook_urls)] = _named(
        "GATEWAY_WEBHOOK_URL",
        (),
        "URLs that the provider posts webhooks to, separated by commas; backfill takes only what"
        " was sent there. Unset: any URL ending in `/webhooks/telnyx`.",
    )
    backfill: Annotated[Literal["on", "off"], Word] = _named(
        "GATEWAY_BACKFILL",
        "on",
        "Whether to fetch missed webhooks from the provider: `on` or `off`.",
    )
    backfill_interval: Annotated[float, _duration("0.1s", "1d")] = _named(
        "GATEWAY_BACKFILL_INTERVAL", "60s", "How often to ask the provider for missed webhooks."
    )
    stream_age_max: Annotated[float, _duration("0.1s", "1d")] = _named(
        "GATEWAY_STREAM_AGE_MAX", "1h", "Maximum age of a stream; it is then closed gracefully."
    )
    drain_timeout: Annotated[float, _duration("0.1s", "1h")] = _named(
        "GATEWAY_DRAIN_TIMEOUT", "20s", "How long a shutdown waits for RPCs in flight."
    )
    buffers: Annotated[int, _read(values.read_size, "16MiB", "1TiB")] | None = _named(
        "GATEWAY_BUFFERS",
        None,
        "Maximum size of all buffers together; above it new work is rejected. Unset: `128MiB`, or a"
        " quarter of the container's memory if that is less.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = _named(
        "GATEWAY_LOG_LEVEL",
        "info",
        "Lowest level of messages to log: `debug`, `info`, `warning` or `error`.",
    )
    log_format: Annotated[Literal["text", "json"], Word] = _named(
        "GATEWAY_LOG_FORMAT", "text", "Format of log messages: `text` or `json`."
    )
    access_log: Annotated[Literal["off", "failures", "all"], Word] = _named(
        "GATEWAY_ACCESS_LOG",
        "failures",
        "Which RPCs and webhooks have a line in the log output: `failures` and slow ones, `all`, or"
        " `off`; those that the gateway rejected or is at fault for always have one.",
    )
    slow_call: Annotated[float, _duration("0.001s", "1h")] = _named(
        "GATEWAY_SLOW_CALL",
        "1s",
        "How long an RPC that is no stream, or a webhook, may take before it counts as slow.",
    )

    def tls_files(self) -> list[TlsFiles]:
        """Return where the certificates are of the addresses that are served in TLS."""
        files = {
            str(field.alias): str(path)
            for name, field in type(self).model_fields.items()
            if isinstance(path := getattr(self, name), Path)
        }
        return [it for port in PORTS if (it := port.tls_files(files)) is not None]


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def load_settings(env: Mapping[str, str]) -> Settings:
    """Read and check all settings; blanks around a value do not count.

    Raises SettingsError with every mistake, misspelt and missing names included.
    """
    # An empty variable is one that somebody meant to unset.
    given = {name: text for name in names() if (text := env.get(name, "").strip())}
    mistakes = NameJudge(names(), SDK_NAMES).misspelt(env)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        mistakes += [_mistake(detail, given) for detail in error.errors(include_input=False)]
    base_url = given.get("TELNYX_BASE_URL", DEFAULT_BASE_URL)
    mistakes += [*mistakes_together(given, base_url), *mistakes_of_ports(given)]
    mistakes += _system_certificates(env)
    for name, hint in (
        ("TELNYX_API_KEY", "an API key (v2) from the provider's portal"),
        ("TELNYX_PUBLIC_KEY", "the public key that the portal shows beside it"),
    ):
        if name not in given:
            mistakes.append(f"{name} is not set: set it to {hint}")
    if mistakes or settings is None:
        raise SettingsError("\n".join(mistakes))
    return settings


def names() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(str(field.alias) for field in Settings.model_fields.values())


def unread(env: Mapping[str, str]) -> list[str]:
    """Return a line for each group of variables that programs obey and the gateway does not."""
    given = {name.upper() for name, text in env.items() if text.strip()}
    return [
        f"{' and '.join(found)} {'has' if len(found) == 1 else 'have'} no effect: use {setting}"
        for setting, others in _OF_OTHER_PROGRAMS.items()
        if setting not in given and (found := [name for name in others if name in given])
    ]


def _system_certificates(env: Mapping[str, str]) -> list[str]:
    """Return the mistake that OpenSSL's own variable makes, which the HTTP client obeys."""
    text = env.get("SSL_CERT_FILE", "")
    try:
        if text:
            values.check_system_certificates(text)
    except ValueError as error:
        return [f"SSL_CERT_FILE {error}"]
    return []


def _mistake(detail: Any, given: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    if detail["type"] == "literal_error":
        text = f"is not one of {detail['ctx']['expected']}"
    else:
        text = str(detail["msg"]).removeprefix("Value error, ")
    quoted = given.get(name, "")[:1] in ("'", '"')
    return f"{name} {text}{'; leave out the quotes' if quoted else ''}"
