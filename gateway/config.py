"""Settings from the environment, checked all at once when the process starts.

The only module that reads the environment. Secrets are held as SecretStr, which shows stars.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from gateway.webhooks.signature import parse_public_key

DEFAULT_GRPC_ADDRESS = "127.0.0.1:50051"
DEFAULT_HTTP_ADDRESS = "127.0.0.1:8080"
DEFAULT_BASE_URL = "https://api.telnyx.com/v2"
DEFAULT_EVENT_LOG = "sqlite:///.gateway/events.db"

_DURATION_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SIZE_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


class SettingsError(Exception):
    """Settings that cannot be used. The text lists every mistake, a line each."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 means any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: Any) -> Address:
    """Read `host:port` or `[v6]:port`. Raises ValueError."""
    if isinstance(value, Address):
        return value
    host, separator, port = str(value).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal():
        raise ValueError("is not host:port, such as 127.0.0.1:9000")
    if int(port) > 65_535:
        raise ValueError(f"has the port {port}; ports end at 65535")
    return Address(host, int(port))


def parse_duration(value: Any) -> float:
    """Read a span of time such as `15s`, `10m`, `36h` or `7d`, in seconds. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value).strip())
    if match is None or float(match[1]) == 0:
        raise ValueError("is not a span of time, such as 15s, 10m, 36h or 7d")
    return float(match[1]) * _DURATION_UNITS[match[2]]


def parse_size(value: Any) -> int:
    """Read an amount such as `512MiB` or `4GiB`, in bytes. Raises ValueError."""
    match = re.fullmatch(r"(\d+)\s*((?:[KMGT]iB)?)", str(value).strip())
    if match is None or int(match[1]) == 0:
        raise ValueError("is not an amount of bytes, such as 512MiB or 4GiB")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _parse_keys(value: Any) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    keys = tuple(part.strip() for part in str(value).split(",") if part.strip())
    for index, key in enumerate(keys, 1):
        try:
            parse_public_key(key)
        except ValueError as error:
            raise ValueError(f"key {index} of {len(keys)} {error}") from None
    return keys


def _parse_url(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError("is not an http(s) address, such as https://api.telnyx.com/v2")
    if parts.username or parts.password:
        raise ValueError("must not hold a password: the key goes into TELNYX_API_KEY")
    return str(value).rstrip("/")


def _parse_key(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    # It becomes a header: anything else would be refused much later, or split the header.
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("holds blanks, line ends or non-ASCII characters: copy it again")
    return value


def _parse_urls(value: Any) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return tuple(_parse_url(part.strip()) for part in str(value).split(",") if part.strip())


def _parse_log(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    text = str(value)
    if text.startswith("nats://"):
        raise ValueError("names a NATS stream, which this version cannot use yet: use sqlite:///")
    path = text.removeprefix("sqlite:///")
    if path == text or not path:
        raise ValueError("is not sqlite:///path, with a fourth slash for an absolute path")
    return Path(path)


Duration = Annotated[float, BeforeValidator(parse_duration)]
HedgeAfter = Annotated[float, BeforeValidator(parse_duration), Field(le=10)]
StreamAge = Annotated[float, BeforeValidator(parse_duration), Field(le=86_400)]
Size = Annotated[int, BeforeValidator(parse_size)]
Where = Annotated[Address, BeforeValidator(parse_address)]


def _named(name: str, default: Any, description: str) -> Any:
    return Field(default, alias=name, description=description)


class Settings(BaseModel):
    """Everything that can be set, by the name of its environment variable."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

    api_key: Annotated[SecretStr, BeforeValidator(_parse_key)] | None = _named(
        "TELNYX_API_KEY", None, "The provider's API key (v2)."
    )
    public_keys: Annotated[tuple[str, ...], BeforeValidator(_parse_keys)] = _named(
        "TELNYX_PUBLIC_KEY",
        (),
        "The provider's public keys that webhooks are verified with, separated by commas.",
    )
    base_url: Annotated[str, BeforeValidator(_parse_url)] = _named(
        "TELNYX_BASE_URL", DEFAULT_BASE_URL, "The provider's REST address."
    )
    grpc_address: Where = _named(
        "GATEWAY_GRPC_ADDRESS", DEFAULT_GRPC_ADDRESS, "Where gRPC is served."
    )
    http_address: Where = _named(
        "GATEWAY_HTTP_ADDRESS",
        DEFAULT_HTTP_ADDRESS,
        "Where webhooks are received and metrics and health are served.",
    )
    event_log: Annotated[Path, BeforeValidator(_parse_log)] = _named(
        "GATEWAY_EVENT_LOG", DEFAULT_EVENT_LOG, "Where events are kept."
    )
    retention_age: Duration = _named(
        "GATEWAY_RETENTION_AGE", "7d", "Events older than this are deleted."
    )
    retention_size: Size = _named(
        "GATEWAY_RETENTION_SIZE",
        "4GiB",
        "How large the log's file may be; the oldest events are deleted to keep it so.",
    )
    call_timeout: Duration = _named(
        "GATEWAY_CALL_TIMEOUT", "10s", "The deadline of RPCs that come without one."
    )
    http_client: Literal["pyreqwest", "httpx"] = _named(
        "GATEWAY_HTTP_CLIENT",
        "pyreqwest",
        "The library that sends requests to the provider: `pyreqwest` or `httpx`.",
    )
    upstream_in_flight: Annotated[int, Field(ge=1, le=10_000)] = _named(
        "GATEWAY_UPSTREAM_IN_FLIGHT", 100, "The most requests to the provider at one time."
    )
    upstream_waiting: Annotated[int, Field(ge=0, le=100_000)] = _named(
        "GATEWAY_UPSTREAM_WAITING",
        1_000,
        "The most requests that wait for their turn; further RPCs are refused at once.",
    )
    hedge_after: HedgeAfter | None = _named(
        "GATEWAY_HEDGE_AFTER",
        None,
        "Commands with an id and no answer for so long are sent again beside it; unset: never.",
    )
    webhook_tolerance: Duration = _named(
        "GATEWAY_WEBHOOK_TOLERANCE", "300s", "How far a webhook's timestamp may be from the clock."
    )
    webhook_urls: Annotated[tuple[str, ...], BeforeValidator(_parse_urls)] = _named(
        "GATEWAY_WEBHOOK_URL",
        (),
        "Where the provider posts webhooks, separated by commas; back-fill takes only what went"
        " there. Unset: any address ending in `/webhooks/telnyx`.",
    )
    backfill: Literal["on", "off"] = _named(
        "GATEWAY_BACKFILL",
        "on",
        "Whether missed webhooks are fetched from the provider: `on` or `off`.",
    )
    backfill_interval: Duration = _named(
        "GATEWAY_BACKFILL_INTERVAL", "60s", "How often the provider is asked for missed webhooks."
    )
    stream_age_max: StreamAge = _named(
        "GATEWAY_STREAM_AGE_MAX", "1h", "How long a stream stays open before it is ended in order."
    )
    drain_timeout: Duration = _named(
        "GATEWAY_DRAIN_TIMEOUT", "20s", "How long a shutdown waits for calls in flight."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _named(
        "GATEWAY_LOG_LEVEL",
        "info",
        "The least important messages to log: `debug`, `info`, `warning` or `error`.",
    )
    log_format: Literal["text", "json"] = _named(
        "GATEWAY_LOG_FORMAT", "text", "How messages are logged: `text` or `json`."
    )


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def load_settings(env: Mapping[str, str]) -> Settings:
    """Read and check all settings.

    Raises SettingsError with every mistake, misspelt and missing names included.
    """
    mistakes = _misspelt(env)
    settings: Settings | None = None
    try:
        # An empty variable is one that somebody meant to unset.
        given = {name: env[name] for name in names() if env.get(name)}
        settings = Settings.model_validate(given)
    except ValidationError as error:
        mistakes += [_mistake(detail) for detail in error.errors(include_input=False)]
    for name, hint in (
        ("TELNYX_API_KEY", "an API key (v2) from the provider's portal"),
        ("TELNYX_PUBLIC_KEY", "the public key that the portal shows beside it"),
    ):
        if not env.get(name):
            mistakes.append(f"{name} is not set: set it to {hint}")
    if mistakes or settings is None:
        raise SettingsError("\n".join(mistakes))
    return settings


def names() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(str(field.alias) for field in Settings.model_fields.values())


def _misspelt(env: Mapping[str, str]) -> list[str]:
    known = names()
    mistakes = []
    for name in sorted(env):
        if name.startswith("GATEWAY_") and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {close[0]}?" if close else ""
            mistakes.append(f"{name} is not a setting{hint}")
    return mistakes


def _mistake(detail: Any) -> str:
    name = str(detail["loc"][0])
    if detail["type"] == "literal_error":
        return f"{name} is not one of {detail['ctx']['expected']}"
    text = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name} {text[:1].lower()}{text[1:]}"
