"""Names in certificates, and patterns of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# What stands for exactly one segment, whatever it is.
_ANY = "*"

# SPIFFE ids ("The SPIFFE Identity and Verifiable Identity Document", 2): a trust domain, and
# segments without escapes, of which none is empty or a dot or two.
_SPIFFE = "spiffe://"
_SPIFFE_BYTES_MAX = 2_048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SPIFFE_SEGMENT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]+")

# DNS names (RFC 1123), and the underscore that container networks allow.
_DNS_CHARACTERS_MAX = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class NameKind(StrEnum):
    """What a name is, as the callers file calls it."""

    SPIFFE = "spiffe"
    DNS = "dns"


@dataclass(frozen=True, slots=True)
class CertificateName:
    """A name in a certificate: its segments, from left to right."""

    kind: NameKind
    segments: tuple[str, ...]

    @classmethod
    def of(cls, kind: NameKind, text: str) -> "CertificateName | None":
        """Return the name that a certificate has, None for one that is no name of its kind.

        A wildcard in a certificate (`*.example.com`) is for servers and no name of a caller.
        """
        segments = _segments(kind, text)
        return None if segments is None or _ANY in segments else cls(kind, segments)

    def __str__(self) -> str:
        return _text(self.kind, self.segments)


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A name, or several: a segment that is `*` fits any one segment and never more or fewer.

    Not case-sensitive for DNS names, as those are.
    """

    kind: NameKind
    segments: tuple[str, ...]

    @classmethod
    def read(cls, kind: NameKind, text: str) -> "NamePattern":
        """Read a name or a pattern. Raises ValueError with words that follow where it stands."""
        segments = _segments(kind, text)
        if segments is None:
            example = {
                NameKind.SPIFFE: "a SPIFFE id, such as spiffe://example.org/ns/voice/sa/desk",
                NameKind.DNS: "a DNS name, such as desk.voice.svc",
            }
            raise ValueError(f"is not {example[kind]}; * stands for one whole segment")
        if kind is NameKind.SPIFFE and segments[0] == _ANY:
            raise ValueError("has a * for the trust domain: name the domain that is trusted")
        if kind is NameKind.DNS and segments[-1] == _ANY:
            raise ValueError("ends in *: name the domain that is trusted")
        return cls(kind, segments)

    @property
    def is_exact(self) -> bool:
        """Whether it fits one name only."""
        return _ANY not in self.segments

    def fits(self, name: CertificateName) -> bool:
        """Tell whether a name is one of these."""
        return (
            self.kind is name.kind
            and len(self.segments) == len(name.segments)
            and all(
                own in (_ANY, its) for own, its in zip(self.segments, name.segments, strict=True)
            )
        )

    def overlaps(self, other: "NamePattern") -> bool:
        """Tell whether there is a name that fits both."""
        return (
            self.kind is other.kind
            and len(self.segments) == len(other.segments)
            and all(
                one == another or _ANY in (one, another)
                for one, another in zip(self.segments, other.segments, strict=True)
            )
        )

    def __str__(self) -> str:
        return _text(self.kind, self.segments)


def names_in(uris: Sequence[str], dns: Sequence[str]) -> tuple[CertificateName, ...]:
    """Return the names that a certificate with these alternative names has for a caller.

    Names of other kinds (addresses, the subject) name no caller. More than one URI makes a
    certificate that is no SPIFFE document ("The X.509 SVID", 2): none of them counts.
    """
    found = [CertificateName.of(NameKind.SPIFFE, it) for it in uris if len(uris) == 1]
    found += [CertificateName.of(NameKind.DNS, it) for it in dns]
    return tuple(it for it in found if it is not None)


def _segments(kind: NameKind, text: str) -> tuple[str, ...] | None:
    """Return the segments of a name or a pattern, None for a text that is neither."""
    if kind is NameKind.DNS:
        labels = text.lower().removesuffix(".").split(".")
        is_name = all(it == _ANY or _LABEL.fullmatch(it) for it in labels)
        return tuple(labels) if is_name and len(text) <= _DNS_CHARACTERS_MAX else None
    domain, *path = text.removeprefix(_SPIFFE).split("/")
    # A domain alone is that of all its workloads, and the id of none.
    if not text.startswith(_SPIFFE) or not path or len(text) > _SPIFFE_BYTES_MAX:
        return None
    if domain != _ANY and not _TRUST_DOMAIN.fullmatch(domain):
        return None
    if not all(it == _ANY or _SPIFFE_SEGMENT.fullmatch(it) for it in path):
        return None
    return (domain, *path)


def _text(kind: NameKind, segments: tuple[str, ...]) -> str:
    return ".".join(segments) if kind is NameKind.DNS else _SPIFFE + "/".join(segments)
