"""JWTs: signed tokens of an issuer, verified by PyJWT with the keys that the issuer has now."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from time import time
from typing import Any

import jwt

from gateway.callers.claims import ClaimsProof
from gateway.callers.errors import Unidentified, UnidentifiedError
from gateway.callers.keyring import IssuerKeys, KeyRings, KeysUnavailableError
from gateway.callers.keys import ALGORITHMS, SigningKey

# How far the clocks of an issuer and of the gateway may be apart, in seconds: machines that keep
# time at all are within one.
LEEWAY_S = 10.0

# No moment is later than this, in seconds since 1970 (RFC 7519 has no bound, a float does).
_NEVER = float(2**53)

_UNKNOWN = Unidentified.CALLER_UNKNOWN


def may_be_web_token(text: str) -> bool:
    """Tell whether a token looks like a JWT: two dots, of which other tokens have none."""
    return text.count(".") == 2 and len(text) > 2


class WebTokens:
    """Verifies JWTs. `now` is the wall clock, by which they expire."""

    def __init__(self, rings: KeyRings, now: Callable[[], float] = time) -> None:
        self._rings = rings
        self._now = now

    def verify(self, token: str) -> ClaimsProof | Awaitable[ClaimsProof]:
        """Return what a token proves, or what that can be awaited of: its key must be fetched.

        Raises UnidentifiedError, now or when it is awaited.
        """
        issuer, key_id = _read_unverified(token)
        ring = self._rings.of(issuer)
        if ring is None:
            raise UnidentifiedError(_UNKNOWN)
        key = ring.key(key_id)
        if key is not None:
            return self._verified(token, ring, key)
        if ring.may_learn:
            return self._when_learnt(token, ring, key_id)
        raise _without_key(ring)

    def is_signed_still(self, proof: ClaimsProof) -> bool:
        """Tell whether the key that signed a token is among its issuer's keys still."""
        ring = self._rings.of(proof.issuer)
        return ring is not None and ring.has(proof.key)

    async def _when_learnt(self, token: str, ring: IssuerKeys, key_id: str | None) -> ClaimsProof:
        try:
            await ring.learnt()
        except KeysUnavailableError:
            raise UnidentifiedError(Unidentified.KEYS_UNAVAILABLE) from None
        key = ring.key(key_id)
        if key is None:
            raise _without_key(ring)
        return self._verified(token, ring, key)

    def _verified(self, token: str, ring: IssuerKeys, key: SigningKey) -> ClaimsProof:
        issuer = ring.issuer
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=list(key.algorithms),
                audience=issuer.audiences,
                issuer=issuer.name,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            # Its signature is right: whoever has it learns nothing that it does not know.
            raise UnidentifiedError(Unidentified.TOKEN_EXPIRED) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise UnidentifiedError(_UNKNOWN) from None
        expires_at = min(int(claims["exp"]), _NEVER) + LEEWAY_S
        return ClaimsProof(issuer.name, key.digest, claims, expires_at)


def _read_unverified(token: str) -> tuple[str, str | None]:
    """Return which issuer and key a token names, which chooses what it is verified with."""
    header, payload = (_json(part) for part in token.split(".")[:2])
    algorithm, key_id, issuer = header.get("alg"), header.get("kid"), payload.get("iss")
    if (
        isinstance(algorithm, str)
        and algorithm in ALGORITHMS
        and isinstance(key_id, str | None)
        and isinstance(issuer, str)
    ):
        return issuer, key_id
    raise UnidentifiedError(_UNKNOWN)


def _json(part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnidentifiedError(_UNKNOWN)
    return found


def _without_key(ring: IssuerKeys) -> UnidentifiedError:
    why = _UNKNOWN if ring.is_known else Unidentified.KEYS_UNAVAILABLE
    return UnidentifiedError(why)
