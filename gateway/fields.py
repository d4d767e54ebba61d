"""How a setting is declared: its name, its meaning, and how its text becomes a value."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, SecretStr

from gateway import values
from gateway.address import Address, read_address
from gateway.ports import Port


def read_by(reader: Callable[..., Any], *bounds: Any) -> BeforeValidator:
    """Return what turns a text into a value, and leaves values alone."""

    def read(value: Any) -> Any:
        return reader(value, *bounds) if isinstance(value, str) else value

    return BeforeValidator(read)


def secret(reader: Callable[[str], str]) -> BeforeValidator:
    """Return what turns a text into a value that is shown as stars."""
    return read_by(lambda text: SecretStr(reader(text)))


Where = Annotated[Address, read_by(read_address)]
Word = read_by(str.lower)
File = Annotated[Path, read_by(Path)] | None
Trust = Annotated[Literal["none", "network"], Word]


def duration(least: str, most: str) -> BeforeValidator:
    """Return what turns a text like `10s` into seconds, between two such bounds."""
    return read_by(values.read_duration, least, most)


def cert_of(port: Port) -> Any:
    """Declare the file of an address's certificate."""
    meaning = (
        f"File of the certificate (PEM, the chain after it) that `{port.address}` is served with in"
        " TLS. Unset: in clear."
    )
    return named(port.cert, None, meaning)


def key_of(port: Port) -> Any:
    """Declare the file of its key."""
    return named(port.key, None, f"File of the key (PEM) of `{port.cert}`.")


def client_ca_of(port: Port) -> Any:
    """Declare the file of the CAs that its clients' certificates are signed by."""
    meaning = (
        "File of CA certificates (PEM); clients must have a certificate that one of them signed."
    )
    return named(port.client_ca, None, meaning)


def trust_of(port: Port) -> Any:
    """Declare whether it may be open without TLS."""
    meaning = (
        f"Whether `{port.address}` may be open to other hosts without TLS: `network` if a sidecar"
        " or a private network guards it, or `none`."
    )
    return named(port.trust, "none", meaning)


def named(name: str, default: Any, description: str, *, may_be_filed: bool = False) -> Any:
    """Declare a setting; the text of one that `may_be_filed` can be in a file, by `NAME_FILE`."""
    extra: dict[str, JsonValue] = {"may_be_filed": may_be_filed}
    return Field(default, alias=name, description=description, json_schema_extra=extra)
