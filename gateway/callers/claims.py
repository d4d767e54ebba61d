"""Claims: what a verified JWT says of its caller, and which of it names one."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues JWTs.

    `name` is what its tokens have as `iss`, `audiences` are those of which they must have one as
    `aud`. Its keys (a JWKS) are at the URL `keys_at`, or in the file of this path. `ca` is a file
    of CA certificates to trust for that URL instead of the system's.
    """

    name: str
    audiences: tuple[str, ...]
    keys_at: str
    ca: Path | None = None

    @property
    def keys_file(self) -> Path | None:
        """The file that has its keys, None if they are at a URL."""
        return None if "://" in self.keys_at else Path(self.keys_at)


def check_keys_at(text: str) -> None:
    """Raise ValueError if keys must not be fetched from there, or cannot."""
    if text.startswith("/"):
        return
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("https", "http") or parts.username is not None:
        raise ValueError("must be an https:// URL, or the absolute path of a file")
    if parts.scheme == "http" and not _is_here(host):
        # Whoever is in between could put a key of their own there, and be every caller.
        raise ValueError(f"must be https://: keys from {host} could be replaced on their way")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class ClaimIdentity:
    """The tokens of an issuer that have all of these claims.

    Each is a path (`realm_access`, `roles`) and a text, which is the value there or one of a list.
    """

    issuer: str
    claims: frozenset[tuple[tuple[str, ...], str]]

    def fits(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether a token's claims are those."""
        return all(_has(claims, path, value) for path, value in self.claims)

    def covers(self, other: "ClaimIdentity") -> bool:
        """Tell whether every token that fits the other fits this one."""
        return self.issuer == other.issuer and self.claims <= other.claims

    def __str__(self) -> str:
        listed = sorted(f"{'.'.join(path)}={value}" for path, value in self.claims)
        text = f"{self.issuer}: {', '.join(listed)}"
        # It goes into a line of mistakes, which a line end in a name would make two.
        return text if text.isprintable() else ascii(text)


@dataclass(frozen=True, slots=True, eq=False)
class ClaimsProof:
    """A JWT that has been verified.

    `key` names the key that signed it, by a digest of the key itself. `expires_at` is when it is
    no longer taken, in seconds since 1970.
    """

    issuer: str
    key: bytes
    claims: Mapping[str, Any] = field(repr=False)
    expires_at: float


def _has(claims: Mapping[str, Any], path: tuple[str, ...], value: str) -> bool:
    found: Any = claims
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    # A number or `true` is not the text that looks like it.
    return found == value or (isinstance(found, list) and value in found)
