"""Tokens: secrets that stand for a caller. The gateway knows only their digests."""

import hashlib
import re
import secrets
from typing import NamedTuple

# What the tokens that the gateway makes begin with: searches for leaked secrets find them by it.
TOKEN_PREFIX = "tgw_"

# As many bits as the digest has, so that nobody finds a token by trying, from its digest or without
# it; hence one round of SHA-256 is enough, and a slow hash would protect nothing.
_SECRET_BYTES = 32

_DIGEST = re.compile(r"[0-9a-f]{64}")


class TokenDigest(NamedTuple):
    """The SHA-256 of a token.

    Looked up in a table, and not compared with each that is known: the time which that takes tells
    of the digest at most, whose bits nobody can choose without knowing the token, and a digest is
    no way back to its token.
    """

    value: bytes

    @classmethod
    def of(cls, token: str) -> "TokenDigest":
        """Return the digest of a token."""
        return cls(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())

    @classmethod
    def read(cls, text: str) -> "TokenDigest":
        """Read 64 hexadecimal digits. Raises ValueError; the text may be a token, and is not shown.

        Also for the digest of the empty text, which a script makes of a token that it did not get.
        """
        if not _DIGEST.fullmatch(text.lower()):
            raise ValueError(
                "is not a SHA-256 in hexadecimal (64 digits): `telnyx-gateway token` makes a token"
                " and prints this line"
            )
        found = cls(bytes.fromhex(text))
        if found == cls.of("") or found == cls.of("\n"):
            raise ValueError("is the SHA-256 of nothing: make it of the token")
        return found


def new_token() -> str:
    """Return a token that nobody has."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def line_for_file(token: str) -> str:
    """Return the identity to put into the callers file for a token."""
    return f'{{ token_sha256 = "{TokenDigest.of(token).value.hex()}" }}'
