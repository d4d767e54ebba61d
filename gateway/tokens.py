"""Opaque texts handed to clients and taken back: cursors and page tokens.

A token says of what kind it is and carries a checksum, so that a token that was cut, mistyped or
meant for something else is told apart from a good one instead of being read as another position.
The checksum guards against accidents, not against forgery: a token grants nothing.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from zlib import crc32

from google.protobuf.message import Message

_CHECKSUM_BYTES = 4


def seal(kind: bytes, payload: bytes) -> str:
    """Return the text for a payload; `kind` is one byte."""
    body = kind + payload
    return urlsafe_b64encode(body + crc32(body).to_bytes(_CHECKSUM_BYTES)).rstrip(b"=").decode()


def unseal(kind: bytes, token: str) -> bytes:
    """Return the payload of a text made by `seal`. Raises ValueError for any other text."""
    try:
        sealed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (UnicodeEncodeError, Base64Error):
        raise ValueError("not a token of this gateway") from None
    body, checksum = sealed[:-_CHECKSUM_BYTES], sealed[-_CHECKSUM_BYTES:]
    # Comparing the canonical text refuses the several spellings that base64 lets pass.
    if body[:1] != kind or crc32(body).to_bytes(_CHECKSUM_BYTES) != checksum:
        raise ValueError("not a token of this gateway, or not of this kind")
    if seal(kind, body[1:]) != token:
        raise ValueError("not a token of this gateway")
    return body[1:]


def arguments_digest(request: Message) -> bytes:
    """Return 8 bytes that tell a list request's arguments apart, paging left out.

    A page token carries them, so that a token used with other arguments is noticed (AIP-158).
    """
    arguments = type(request)()
    arguments.CopyFrom(request)
    arguments.ClearField("page_size")
    arguments.ClearField("page_token")
    return blake2b(arguments.SerializeToString(deterministic=True), digest_size=8).digest()
