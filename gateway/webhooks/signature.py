"""Signatures of webhooks: Ed25519 over the raw body, in two header schemes.

Telnyx:            telnyx-signature-ed25519: base64, over `{timestamp}|{body}`
Standard Webhooks: webhook-signature: one or more `v1a,{base64}`, over `{id}.{timestamp}.{body}`
                   (the Standard Webhooks specification, asymmetric signatures)
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

# How far a timestamp may lie from the clock, in seconds, either way: the SDK's own tolerance.
TOLERANCE_S = 300

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_STANDARD_KEY_PREFIX = "whpk_"
_ASYMMETRIC = b"v1a,"

# Signatures tried in one header: rotation needs two, and each costs a verification.
_SIGNATURES_MAX = 8


class KeyFormatError(ValueError):
    """A text that is not a public key."""


class SignatureError(Exception):
    """A webhook that is not accepted: `reason` for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Signed(NamedTuple):
    timestamp: bytes
    signatures: Sequence[bytes]
    prefix: bytes


class SignatureVerifier:
    """Verifies webhooks against any of several public keys, so that keys can be rotated.

    `now` gives the time in seconds since 1970. Raises KeyFormatError at construction for a key
    that is none.
    """

    def __init__(
        self,
        public_keys: Sequence[str],
        now: Callable[[], float],
        tolerance_s: float = TOLERANCE_S,
    ) -> None:
        self._keys = [VerifyKey(parse_public_key(text)) for text in public_keys]
        self._now = now
        self._tolerance_s = tolerance_s

    def verify(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        """Return if the body was signed by a known key just now. Raises SignatureError.

        Headers are as ASGI has them: bytes, with names in lower case.
        """
        signed = _read_headers(headers)
        self._check_time(signed.timestamp)
        message = signed.prefix + body
        for key in self._keys:
            for signature in signed.signatures:
                if _is_valid(key, message, signature):
                    return
        raise SignatureError(
            "SIGNATURE_MISMATCH",
            "the signature was made by none of the keys in TELNYX_PUBLIC_KEY, or over another body",
        )

    def _check_time(self, text: bytes) -> None:
        # 15 digits keep the comparison exact.
        if not (text.isdigit() and len(text) <= 15):
            raise SignatureError("BAD_TIMESTAMP", "the timestamp header is not in Unix seconds")
        age = self._now() - int(text)
        if abs(age) > self._tolerance_s:
            where = "old" if age > 0 else "ahead of this clock"
            raise SignatureError(
                "STALE_TIMESTAMP",
                f"the timestamp is {abs(age):.0f} s {where}, {self._tolerance_s:.0f} s are allowed:"
                " a replay, or one of the two clocks is wrong",
            )


def parse_public_key(text: str) -> bytes:
    """Return the 32 bytes of a base64 key, with or without `whpk_`. Raises KeyFormatError."""
    try:
        key = b64decode(text.strip().removeprefix(_STANDARD_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFormatError("is not base64") from None
    if len(key) != _KEY_BYTES:
        raise KeyFormatError(f"holds {len(key)} bytes, an Ed25519 public key has {_KEY_BYTES}")
    return key


def _read_headers(headers: Mapping[bytes, bytes]) -> _Signed:
    telnyx = headers.get(b"telnyx-signature-ed25519")
    if telnyx is not None:
        timestamp = _required(headers, b"telnyx-timestamp")
        return _Signed(timestamp, [_signature(telnyx)], timestamp + b"|")
    standard = headers.get(b"webhook-signature")
    if standard is not None:
        message_id = _required(headers, b"webhook-id")
        timestamp = _required(headers, b"webhook-timestamp")
        signatures = [
            _signature(part.removeprefix(_ASYMMETRIC))
            for part in standard.split()
            if part.startswith(_ASYMMETRIC)
        ][:_SIGNATURES_MAX]
        if not signatures:
            raise SignatureError(
                "BAD_SIGNATURE", "webhook-signature holds no v1a signature; others are not accepted"
            )
        return _Signed(timestamp, signatures, b"%b.%b." % (message_id, timestamp))
    raise SignatureError(
        "MISSING_HEADER",
        "the telnyx-signature-ed25519 header is missing (or webhook-signature, for Standard"
        " Webhooks)",
    )


def _required(headers: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = headers.get(name)
    if not value:
        raise SignatureError("MISSING_HEADER", f"the {name.decode()} header is missing")
    return value


def _signature(text: bytes) -> bytes:
    try:
        signature = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("BAD_SIGNATURE", "the signature is not base64") from None
    if len(signature) != _SIGNATURE_BYTES:
        raise SignatureError(
            "BAD_SIGNATURE",
            f"the signature holds {len(signature)} bytes, Ed25519 has {_SIGNATURE_BYTES}",
        )
    return signature


def _is_valid(key: VerifyKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except BadSignatureError:
        return False
    return True
