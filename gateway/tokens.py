"""Opaque texts handed to clients and taken back: cursors and page tokens.

A token says of what kind it is and by which version of that kind's layout it was made, and carries
a checksum, so that a token that was cut, mistyped or meant for something else is told apart from a
good one instead of being read as another position. The checksum guards against accidents, not
against forgery: a token grants nothing.
"""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from binascii import b2a_base64
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

from google.protobuf.message import Message

_CHECKSUM_BYTES = 4

# From base64's own alphabet to the one for URLs (RFC 4648, section 5).
_FOR_URLS = bytes.maketrans(b"+/", b"-_")


class TokenKind(NamedTuple):
    """What a token is for, as one byte, and the version of its payload's layout, up to 255."""

    letter: bytes
    version: int


class TokenError(ValueError):
    """A text that is no token of the kind that is asked for."""


class TokenVersionError(TokenError):
    """A token of another version than the one that is read."""

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"a token of version {version}, not of version {known}")
        self.version = version


class Sealer:
    """Makes tokens whose payloads have the same beginning, such as all cursors of one log."""

    def __init__(self, kind: TokenKind, beginning: bytes = b"") -> None:
        self._beginning = kind.letter + bytes((kind.version,)) + beginning
        self._checksum = crc32(self._beginning)

    def seal(self, rest: bytes) -> bytes:
        """Return the text, in ASCII, for a payload by what comes after its beginning."""
        checksum = crc32(rest, self._checksum).to_bytes(_CHECKSUM_BYTES)
        sealed = b2a_base64(self._beginning + rest + checksum, newline=False)
        return sealed.translate(_FOR_URLS).rstrip(b"=")


def seal(kind: TokenKind, payload: bytes) -> str:
    """Return the text for a payload."""
    return Sealer(kind).seal(payload).decode()


def unseal(kind: TokenKind, token: str) -> bytes:
    """Return the payload of a text made by `seal`.

    Raises TokenVersionError for a token of this kind and another version, whose payload nobody here
    can read, and TokenError for any other text.
    """
    try:
        sealed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (UnicodeEncodeError, Base64Error):
        raise TokenError("not a token of this gateway") from None
    body, checksum = sealed[:-_CHECKSUM_BYTES], sealed[-_CHECKSUM_BYTES:]
    letter, version, payload = body[:1], body[1:2], body[2:]
    if letter != kind.letter or not version or crc32(body).to_bytes(_CHECKSUM_BYTES) != checksum:
        raise TokenError("not a token of this gateway, or not of this kind")
    # Comparing the canonical text refuses the several spellings that base64 lets pass.
    if seal(TokenKind(letter, version[0]), payload) != token:
        raise TokenError("not a token of this gateway")
    if version[0] != kind.version:
        raise TokenVersionError(version[0], kind.version)
    return payload


def arguments_digest(request: Message) -> bytes:
    """Return 8 bytes that tell a list request's arguments apart, paging left out.

    A page token carries them, so that a token used with other arguments is noticed (AIP-158).
    """
    arguments = type(request)()
    arguments.CopyFrom(request)
    arguments.ClearField("page_size")
    arguments.ClearField("page_token")
    return blake2b(arguments.SerializeToString(deterministic=True), digest_size=8).digest()
