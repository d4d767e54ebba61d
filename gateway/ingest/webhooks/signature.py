"""Signatures of webhooks: Ed25519 over the raw body, by any of several keys."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, product

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from gateway.ingest.webhooks.signed_headers import Reading, Readings, read_signed_headers

# How far a timestamp may lie from the clock, in seconds, either way: the SDK's own tolerance.
TOLERANCE_S = 300

# Verifications of a request: each reading with each key. A sender that rotates its keys in both
# schemes has four readings, we two keys meanwhile; anybody can cause as many as there may be.
TRIED_MAX = 16


class SignatureError(Exception):
    """A webhook that is not accepted: `reason` for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SignatureVerifier:
    """Verifies webhooks against any of several public keys, so that keys can be rotated.

    A key has the 32 bytes of Ed25519. `now` gives the time in seconds since 1970.
    """

    def __init__(
        self,
        public_keys: Sequence[bytes],
        now: Callable[[], float],
        tolerance_s: float = TOLERANCE_S,
    ) -> None:
        self._now = now
        self._tolerance_s = tolerance_s
        self.use_keys(public_keys)

    def use_keys(self, public_keys: Sequence[bytes]) -> None:
        """Verify with other keys from now on."""
        self._keys = [VerifyKey(key) for key in public_keys]

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> Sequence[Reading]:
        """Return the ways to read the headers whose signature may be good; at least one.

        Headers are as ASGI has them: names in lower case, repeated lines as they came. Raises
        SignatureError if there is none, about the one that came furthest: nothing can follow that
        would make them good.
        """
        readings = read_signed_headers(headers)
        if not readings.found:
            raise _unread(readings)
        return self._fresh(readings.found)

    def cost(self, readings: Sequence[Reading], body: bytes) -> int:
        """Return how many bytes `verify` hashes if no signature is good."""
        return min(len(readings) * len(self._keys), TRIED_MAX) * len(body)

    def verify(self, readings: Sequence[Reading], body: bytes) -> None:
        """Return if one of the signatures is good; one is enough. Raises SignatureError."""
        # Held: large bodies are verified in a thread, and keys may be replaced meanwhile.
        keys = self._keys
        for reading, key in islice(product(readings, keys), TRIED_MAX):
            if _is_valid(key, reading.prefix + body, reading.signature):
                return
        tried = len(readings) * len(keys)
        raise SignatureError(
            "SIGNATURE_MISMATCH",
            "no key in TELNYX_PUBLIC_KEY made this signature over this body"
            + (
                f"; of {tried} ways to verify it, {TRIED_MAX} were tried"
                if tried > TRIED_MAX
                else ""
            ),
        )

    def _fresh(self, readings: Iterable[Reading]) -> Sequence[Reading]:
        """Return the readings whose time is near: at least one. Raises SignatureError."""
        now = self._now()
        fresh: list[Reading] = []
        errors: list[SignatureError] = []
        for reading in readings:
            error = self._time_error(reading.timestamp, now)
            if error is None:
                fresh.append(reading)
            else:
                errors.append(error)
        if not fresh:
            raise next((it for it in errors if it.reason == "STALE_TIMESTAMP"), errors[0])
        return fresh

    def _time_error(self, text: bytes, now: float) -> SignatureError | None:
        # 15 digits keep the comparison exact.
        if not (text.isdigit() and len(text) <= 15):
            return SignatureError("BAD_TIMESTAMP", "the timestamp header is not in Unix seconds")
        age = now - int(text)
        if abs(age) <= self._tolerance_s:
            return None
        where = "old" if age > 0 else "ahead of this clock"
        return SignatureError(
            "STALE_TIMESTAMP",
            f"the timestamp is {abs(age):.0f} s {where} (limit {self._tolerance_s:.0f} s):"
            " a replay, or a wrong clock",
        )


def _unread(readings: Readings) -> SignatureError:
    # A header that is not there says more than a signature that cannot be read without it.
    if readings.missing:
        names = " and ".join(readings.missing)
        verb = "are" if len(readings.missing) > 1 else "is"
        return SignatureError("MISSING_HEADER", f"{names} {verb} missing from the headers")
    return SignatureError("BAD_SIGNATURE", readings.broken[0])


def _is_valid(key: VerifyKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except BadSignatureError:
        return False
    return True
