"""What a call shows of who makes it, and what that proves."""

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.callers.claims import ClaimsProof
from gateway.callers.patterns import CertificateName
from gateway.callers.tokens import TokenDigest


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call shows.

    `names` are those in the certificate of its connection, which the TLS library has verified: None
    if there is no certificate, and perhaps none that could be a caller's. `bearer` is the token in
    its metadata, None if there is none, and empty if what stands there is no bearer token.
    """

    names: tuple[CertificateName, ...] | None = None
    bearer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CertificateProof:
    """The names in a verified certificate."""

    names: tuple[CertificateName, ...]


# What is verified of a caller, and kept for as long as a stream of its is open: with it the caller
# can be looked up again in another version of the file.
Proof: TypeAlias = CertificateProof | TokenDigest | ClaimsProof
