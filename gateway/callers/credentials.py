"""What a call shows of who makes it, and what that proves."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from gateway.callers.claims import ClaimsProof
from gateway.callers.forwarded import Forwards
from gateway.callers.patterns import CertificateName
from gateway.callers.tokens import TokenDigest


class Credentials(NamedTuple):
    """What a call shows. A named tuple, as it is made for each call (see `records`).

    `names` are those in the certificate of its connection, which the TLS library has verified: None
    if there is no certificate, and perhaps none that could be a caller's. `bearer` is the token in
    its metadata, None if there is none, and empty if what stands there is no bearer token.
    `forwarded` is what its metadata says of the certificate of somebody else, None if nothing:
    anybody can write that, and it counts only if `names` are those of a trusted proxy.
    """

    names: tuple[CertificateName, ...] | None = None
    bearer: str | None = None
    forwarded: str | None = None

    def __repr__(self) -> str:
        # Never the token.
        return f"Credentials(names={self.names!r}, forwarded={self.forwarded!r})"


@dataclass(frozen=True, slots=True)
class CertificateProof:
    """The names in a verified certificate."""

    names: tuple[CertificateName, ...]


@dataclass(frozen=True, slots=True)
class ForwardedProof:
    """The names in a certificate that a proxy has verified, and those in the proxy's own.

    `forwards` is what the names were read from.
    """

    names: tuple[CertificateName, ...]
    proxy: tuple[CertificateName, ...]
    forwards: Forwards


# What is verified of a caller, and kept for as long as a stream of its is open: with it the caller
# can be looked up again in another version of the file.
Proof: TypeAlias = CertificateProof | ForwardedProof | TokenDigest | ClaimsProof
