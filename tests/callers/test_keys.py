"""Keys of issuers: which are taken, and for which signatures."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm

from gateway.callers.keys import KeySet, read_keys
from tests.harness.issuer import Key

EC, RSA, OKP = Key("ec"), Key("rsa", "RSA"), Key("okp", "OKP")


def read(*entries: Any) -> KeySet:
    return read_keys(json.dumps({"keys": entries}).encode())


def test_each_kind_of_key_is_for_its_own_signatures() -> None:
    found = read(EC.public, RSA.public, OKP.public, {**RSA.public, "kid": "ps", "alg": "PS256"})

    assert {id_: key.algorithms for id_, key in found.by_id.items()} == {
        "ec": ("ES256",),
        "rsa": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "okp": ("EdDSA",),
        "ps": ("PS256",),
    }


def test_only_a_lone_key_is_for_tokens_that_name_none() -> None:
    assert set(read(EC.public).by_id) == {"ec", None}
    nameless = {name: it for name, it in EC.public.items() if name != "kid"}
    assert set(read(nameless).by_id) == {None}
    assert set(read(nameless, RSA.public).by_id) == {"rsa"}


def test_keys_that_cannot_be_used_are_left_out() -> None:
    weak = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1_024).public_key(), as_dict=True)
    curve = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)
    unusable = [
        {**weak, "kid": "weak"},
        {**curve, "kid": "curve"},
        {**RSA.public, "kid": "encrypts", "use": "enc"},
        {**RSA.public, "kid": "signs", "key_ops": ["sign"]},
        {**RSA.public, "kid": "odd", "key_ops": 3},
        {**RSA.public, "kid": "hmac", "alg": "HS256"},
        {**RSA.public, "kid": "none", "alg": "none"},
        {**EC.public, "kid": "other", "alg": "ES384"},
        {"kty": "new", "kid": "new"},
        {"kty": "RSA", "kid": "empty"},
        {},
    ]
    assert set(read(*unusable, EC.public, "text", 3).by_id) == {"ec", None}
    with pytest.raises(ValueError, match="has no key for signatures of ES256, "):
        read(*unusable)


@pytest.mark.parametrize(
    "secret",
    [
        RSAAlgorithm.to_jwk(RSA.private, as_dict=True),
        ECAlgorithm.to_jwk(EC.private, as_dict=True),
        HMACAlgorithm.to_jwk(b"x" * 32, as_dict=True),
    ],
)
def test_a_secret_among_public_keys_is_a_mistake(secret: Any) -> None:
    with pytest.raises(ValueError, match="must have public keys only"):
        read(EC.public, secret)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"3", b'{"keys": 3}', b"\xff", b"[" * 100_000, EC.public_pem]
)
def test_what_is_no_jwks_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not a JWKS"):
        read_keys(data)


def test_there_is_a_bound_on_how_many_there_are() -> None:
    with pytest.raises(ValueError, match="has 101 keys; 100 is the maximum"):
        read(*[EC.public] * 101)


members = st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "crv", "x", "y", "n", "e"])
words = ["RSA", "EC", "OKP", "P-256", "AQAB", "sig", "Ed25519", "none", "HS256", "PS256"]
values = (
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(words)
)  # fmt: skip


@given(entries=st.lists(st.dictionaries(members, values), max_size=3))
def test_whatever_stands_there_is_keys_or_an_error_in_words(entries: list[Any]) -> None:
    assert set(read(*entries, EC.public).by_id) >= {"ec"}
