"""What the texts of settings mean: durations, sizes, URLs, keys, certificates.

Each reader takes the text without blanks around it and raises ValueError with words that follow
the setting's name. None quotes a text that may hold a secret.
"""

import binascii
import re
import ssl
from base64 import b64decode
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.address import check_host, check_ip, is_loopback

# An API key is some 60 characters long; what is far longer is a file that was taken for it.
_KEY_CHARACTERS_MAX = 1_000
# Ed25519 (RFC 8032), and what Standard Webhooks puts before the base64 of a public key.
_PUBLIC_KEY_BYTES = 32
_STANDARD_KEY_PREFIX = "whpk_"
# The largest bundle of certificates that is read, in bytes: all public ones together are 300 KiB.
_CA_BYTES_MAX = 4 * 1024 * 1024

# A stream's name is a part of subjects and of folders' names.
_STREAM_CHARACTERS_MAX = 64
_STREAM = re.compile(rf"[A-Za-z0-9_-]{{1,{_STREAM_CHARACTERS_MAX}}}")
# The port that NATS servers listen on by default.
_NATS_PORT = 4222

_DURATION_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SIZE_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

_CERTIFICATE = re.compile(
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)

# The provider's own host serves version 2 below this path and nothing at its root.
_PROVIDER_HOST, _PROVIDER_PATH = "api.telnyx.com", "/v2"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates out of a file, in DER."""

    path: Path
    der: tuple[bytes, ...] = field(repr=False)


def read_duration(text: str, least: str, most: str) -> float:
    """Read a duration such as `15s`, `10m`, `36h` or `7d`, in seconds, within bounds."""
    seconds = _seconds(text)
    if not _seconds(least) <= seconds <= _seconds(most):
        raise ValueError(f"is not between {least} and {most}")
    return seconds


def read_size(text: str, least: str, most: str) -> int:
    """Read a size such as `512MiB` or `4GiB`, in bytes, within bounds."""
    size = _bytes(text)
    if not _bytes(least) <= size <= _bytes(most):
        raise ValueError(f"is not between {least} and {most}")
    return size


def read_count(text: str, least: int, most: int) -> int:
    """Read a whole number within bounds."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise ValueError(f"is not a whole number between {least} and {most}")
    return int(text)


def read_share(text: str) -> Fraction:
    """Read a share of a whole, such as `1/3`, `0.25` or `25%`: more than nothing, at most all."""
    number, percent = (text[:-1], 100) if text.endswith("%") else (text, 1)
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}|/[0-9]{1,6})?", number):
        raise ValueError("is not a share such as 1/3, 0.25 or 25%")
    try:
        share = Fraction(number) / percent
    except ZeroDivisionError:
        raise ValueError("is not a share such as 1/3, 0.25 or 25%") from None
    if not 0 < share <= 1:
        raise ValueError("is not a share above 0 and of at most 1")
    return share


def read_name(text: str) -> str:
    """Read a name that people and programs tell gateways apart by."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", text):
        raise ValueError("is not 1 to 63 letters, digits, dots, dashes and underscores")
    return text


def read_api_key(text: str) -> str:
    """Read an API key, which becomes a header."""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        # Anything else would be refused much later, or split the header.
        raise ValueError("has blanks, line ends or non-ASCII characters: copy it again")
    if text[0] in "'\"" or text[-1] in "'\"":
        raise ValueError("begins or ends with a quotation mark, which no key does")
    if len(text) > _KEY_CHARACTERS_MAX:
        raise ValueError(f"is {len(text)} characters long and cannot be a key: copy it again")
    return text


def read_public_keys(text: str) -> tuple[bytes, ...]:
    """Read one or more Ed25519 public keys in base64, with or without `whpk_`.

    Commas are between them, or line ends, which a file has.
    """
    keys = _parts(",".join(text.splitlines()))
    if not keys:
        raise ValueError("has no key")
    numbers: dict[bytes, int] = {}
    for number, key in enumerate(keys, 1):
        try:
            raw = _public_key(key)
        except ValueError as error:
            raise ValueError(f"key {number} of {len(keys)} {error}") from None
        if raw in numbers:
            raise ValueError(f"key {number} of {len(keys)} is key {numbers[raw]} again")
        numbers[raw] = number
    return tuple(numbers)


def _public_key(text: str) -> bytes:
    try:
        key = b64decode(text.removeprefix(_STANDARD_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(key) != _PUBLIC_KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes; an Ed25519 public key has {_PUBLIC_KEY_BYTES}")
    return key


def read_base_url(text: str) -> str:
    """Read the URL that the paths of REST operations are appended to."""
    parts = _url(text, "https://api.telnyx.com/v2")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not have a user or a password: the key goes into TELNYX_API_KEY")
    if "?" in text:
        raise ValueError("has a query (?...), which paths cannot be appended to")
    if parts.hostname == _PROVIDER_HOST and parts.path.rstrip("/") != _PROVIDER_PATH:
        raise ValueError(f"must end in {_PROVIDER_PATH} at {_PROVIDER_HOST}")
    return text.rstrip("/")


def plaintext_host(text: str) -> str | None:
    """Return the host that is spoken to unencrypted over a network; None if there is none."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    return None if parts.scheme != "http" or is_loopback(host) else host


def read_webhook_urls(text: str) -> tuple[str, ...]:
    """Read URLs that webhooks are posted to, separated by commas."""
    urls = _parts(text)
    if not urls:
        raise ValueError("has no URL")
    for number, url in enumerate(urls, 1):
        try:
            parts = _url(url, "https://voice.example.com/webhooks/telnyx")
            if parts.username is not None:
                raise ValueError("must not have a user or a password")
        except ValueError as error:
            raise ValueError(f"URL {number} of {len(urls)} {error}") from None
    return tuple(url.rstrip("/") for url in urls)


def read_proxy(text: str) -> str:
    """Read the URL of an HTTP proxy; it may have a user and a password."""
    parts = _url(text, "http://proxy.example.com:3128")
    if parts.path not in ("", "/") or "?" in text:
        raise ValueError("must be http://host:port, without a path or a query")
    return text.rstrip("/")


def read_file_path(text: str) -> Path:
    """Read the path of a file, which must be readable; what is in it is read later."""
    path = Path(text)
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from None
    return path


def read_certificates(text: str) -> Certificates:
    """Read a file of CA certificates in PEM, all of which must be readable."""
    blocks = _certificates(text)
    found = []
    for number, block in enumerate(blocks, 1):
        der = _der(block)
        if der is None:
            raise ValueError(
                f"names a file whose certificate {number} of {len(blocks)} cannot be read"
            )
        found.append(der)
    return Certificates(Path(text), tuple(found))


def check_system_certificates(text: str) -> None:
    """Check a file that stands for the system's certificates: one of them must be readable.

    The HTTP client ignores what it cannot read in it, and then trusts nobody.
    """
    if all(_der(block) is None for block in _certificates(text)):
        raise ValueError("names a file without a readable certificate")


def _certificates(text: str) -> list[str]:
    path = Path(text)
    try:
        with path.open("rb") as file:
            data = file.read(_CA_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from None
    if len(data) > _CA_BYTES_MAX:
        raise ValueError(f"names a file of more than {_CA_BYTES_MAX} bytes")
    blocks = _CERTIFICATE.findall(data.decode("ascii", "replace"))
    if not blocks:
        raise ValueError("names a file without a certificate in PEM (-----BEGIN CERTIFICATE-----)")
    return blocks


def _der(block: str) -> bytes | None:
    try:
        der = ssl.PEM_cert_to_DER_cert(block)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError):
        return None
    return der


@dataclass(frozen=True, slots=True)
class StreamUrl:
    """Where a stream of NATS JetStream is: `host:port` of some servers, and its name."""

    servers: tuple[str, ...]
    stream: str
    is_tls: bool = False

    def __str__(self) -> str:
        return f"{'tls' if self.is_tls else 'nats'}://{','.join(self.servers)}/{self.stream}"


def read_event_log(text: str) -> Path | StreamUrl:
    """Read `sqlite:///path` or `nats://host:port[,host:port]/stream`."""
    if text.startswith(("nats://", "tls://")):
        return _stream(text)
    path = text.removeprefix("sqlite:///")
    if path == text or not path:
        raise ValueError(
            "is not sqlite:///path, with a fourth slash for an absolute path, or"
            " nats://host:port/stream"
        )
    if path.startswith(":") or "?" in path:
        raise ValueError("is not the path of a file: :memory: and ?parameters are not supported")
    if path.endswith("/"):
        raise ValueError("names a folder: append the name of a file, such as events.db")
    return Path(path)


def _stream(text: str) -> StreamUrl:
    scheme, _, rest = text.partition("://")
    servers, _, stream = rest.partition("/")
    if "@" in servers:
        raise ValueError(
            "must not have a user, a password or a token: name their file with GATEWAY_NATS_LOGIN"
            " or GATEWAY_NATS_TOKEN"
        )
    if not _STREAM.fullmatch(stream):
        raise ValueError(
            f"must end in /stream, a name of up to {_STREAM_CHARACTERS_MAX} letters, digits, - and"
            " _, as nats://host:4222/EVENTS does"
        )
    return StreamUrl(tuple(map(_server, servers.split(","))), stream, scheme == "tls")


def _server(text: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text)
    port = int(match[2] or _NATS_PORT) if match else 0
    if match is None or not 0 < port < 65_536:
        raise ValueError("has a server that is not host:port, as in nats://a:4222,b:4222/EVENTS")
    host = match[1]
    if host.startswith("["):
        check_ip(host[1:-1], 6)
    else:
        check_host(host)
    return f"{host}:{port}"


def read_index(text: str) -> Path:
    """Read the path of a file that is made where there is none."""
    if text[0] in "'\"":
        raise ValueError("begins with a quotation mark")
    if text.endswith("/") or Path(text).is_dir():
        raise ValueError("names a folder: append the name of a file, such as index.db")
    return Path(text)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for it in text.split(",") if (part := it.strip()))


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([smhd])", text)
    if match is None:
        raise ValueError("is not a duration, such as 15s, 10m, 36h or 7d")
    return float(match[1]) * _DURATION_UNITS[match[2]]


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})\s*((?:[KMGT]iB)?)", text)
    if match is None:
        raise ValueError("is not a size, such as 512MiB or 4GiB")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _url(text: str, example: str) -> SplitResult:
    """Split an absolute http(s) URL that every client library reads alike."""
    # Python drops tabs and line ends from a URL without a word; Rust takes a backslash for a slash.
    if not re.fullmatch(r"[\x21-\x7e]+", text) or "\\" in text:
        raise ValueError("has blanks, backslashes or characters that must be escaped in a URL")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not an http(s) URL, such as {example}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"is not an http(s) URL, such as {example}")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("has a colon but no port that can be connected to")
    if "#" in text:
        raise ValueError("has a fragment (#...), which is never sent")
    if ":" in parts.hostname:
        check_ip(parts.hostname, 6)
    else:
        check_host(parts.hostname)
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        raise ValueError("has a path with . or ..: write it without")
    return parts
