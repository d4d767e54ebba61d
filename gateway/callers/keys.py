"""Public keys of an issuer of JWTs: a JWKS (RFC 7517), and what each of its keys may sign."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

# Only asymmetric ones, and each for one kind of key: else a token could choose to be verified with
# a public key as if that were a secret (RFC 8725, 2.1 and 3.1).
_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS = frozenset({*_OF_RSA, *_OF_CURVES.values(), "EdDSA"})

# RFC 7518, 3.3.
_RSA_BITS_MIN = 2_048

# Keys of one issuer that are read; real ones have two to ten.
_KEYS_MAX = 100

# What a private or secret key has and a public one does not (RFC 7518, 6).
_SECRET_MEMBERS = frozenset({"d", "k", "p", "q"})


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, what signatures it verifies, and a digest that stands for it."""

    public: Any = field(compare=False)
    algorithms: tuple[str, ...]
    digest: bytes


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer by their ids; a lone key has also the id `None`, of tokens without."""

    by_id: Mapping[str | None, SigningKey]

    @property
    def digests(self) -> frozenset[bytes]:
        """Digests of all keys."""
        return frozenset(it.digest for it in self.by_id.values())


def read_keys(data: bytes) -> KeySet:
    """Read a JWKS. Keys of kinds that cannot be used are left out, as RFC 7517, 5, wants it.

    Raises ValueError if it is none, has no key that can be used, or has one that should be secret.
    """
    try:
        listed = json.loads(data)["keys"]
        entries = [it for it in listed if isinstance(it, dict)]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ValueError('is not a JWKS: {"keys": [...]}') from None
    if len(entries) > _KEYS_MAX:
        raise ValueError(f"has {len(entries)} keys; {_KEYS_MAX} is the maximum")
    if any(_SECRET_MEMBERS & entry.keys() for entry in entries):
        raise ValueError("has a private or secret key: it must have public keys only")
    found = [(entry.get("kid"), key) for entry in entries if (key := _read_key(entry)) is not None]
    if not found:
        raise ValueError(f"has no key for signatures of {', '.join(sorted(ALGORITHMS))}")
    keys: dict[str | None, SigningKey] = {id_: key for id_, key in found if isinstance(id_, str)}
    if len(found) == 1:
        keys[None] = found[0][1]
    return KeySet(keys)


def _read_key(entry: Mapping[str, Any]) -> SigningKey | None:
    declared = entry.get("alg")
    try:
        if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
            return None
        if declared is not None and declared not in ALGORITHMS:
            return None
        public = jwt.PyJWK(dict(entry)).key
        algorithms = _algorithms_of(public)
        encoded = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if declared is not None:
        algorithms = tuple(it for it in algorithms if it == declared)
    return SigningKey(public, algorithms, hashlib.sha256(encoded).digest()) if algorithms else None


def _algorithms_of(public: Any) -> tuple[str, ...]:
    match public:
        case rsa.RSAPublicKey() if public.key_size >= _RSA_BITS_MIN:
            return _OF_RSA
        case ec.EllipticCurvePublicKey() if public.curve.name in _OF_CURVES:
            return (_OF_CURVES[public.curve.name],)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return ("EdDSA",)
    return ()
