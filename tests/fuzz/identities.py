"""Fuzzed readers of who calls: the callers file, and what callers show of themselves.

Each is held against a second, simple reading of the same bytes.
"""

import asyncio
import json
import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from jwt.api_jws import PyJWS

from gateway.callers.callers import Callers, Identified
from gateway.callers.claims import ClaimsProof, Issuer
from gateway.callers.credentials import CertificateProof, Credentials, Proof
from gateway.callers.errors import CallersFileError, Unidentified, UnidentifiedError
from gateway.callers.file import CALLERS_MAX, read_callers
from gateway.callers.forwarded import ForwardedFormatError, certified_names, forwarded_names
from gateway.callers.patterns import names_in
from gateway.callers.tokens import TokenDigest
from gateway.callers.webtokens import LEEWAY_S
from tests.harness.certificates import Authority

# --- The callers file

CALLERS_FILE = b"""
proxies = [
  { dns = "envoy.internal", forwards = "names" },
  { spiffe = "spiffe://example.org/*/envoy" },
]
[issuers."https://id"]
audience = ["a", "b"]
jwks = "https://id/keys"
ca = "/ca.pem"
[callers.desk]
role = "operator"
connections = ["1"]
queues = ["q"]
limits = { calls_per_second = 0.5, streams = 7 }
identities = [
  { spiffe = "spiffe://example.org/ns/*/sa/desk" },
  { dns = "*.desk.svc" },
  { issuer = "https://id", subject = "desk", claim = ["a", "b"], value = "c" },
]
[callers.board]
role = "reader"
identities = [{ token_sha256 = "0b9c2625dc21ef05f6ad4ddf47c5f203837aa32c51ab5f9d8ad48d8b1b1a6d7c" }]
"""
# A token in place of its digest, which an error must not show.
_TOKEN_IN_FILE = re.compile(r'token_sha256\s*=\s*"(tgw_[\w-]{4,})"')


def callers_file(data: bytes) -> None:
    try:
        roster = read_callers(data, bind=lambda caller: caller)
    except CallersFileError as refused:
        text = str(refused)
        assert text
        assert all(line.isprintable() for line in text.split("\n")), text
        given = data.decode(errors="replace")
        for token in _TOKEN_IN_FILE.findall(given):
            assert given.count(token) > 1 or token not in text
        return
    document = tomllib.loads(data.decode())
    assert len(roster) == len(document["callers"]) <= CALLERS_MAX
    assert roster == read_callers(data, bind=lambda caller: caller)
    for name, table in document["callers"].items():
        for identity in table["identities"]:
            for proof in _proofs(identity):
                # Whoever has what the file says is this caller, and neither another one nor none.
                caller = roster.caller_of(proof)
                assert (caller.name, caller.role.name.lower()) == (name, table["role"])
                for field in ("connections", "queues"):
                    bound, given = getattr(caller, field), table.get(field)
                    assert (None if bound is None else {*bound}) == (given and {*given})
                assert not (isinstance(proof, CertificateProof) and roster.forwards(proof.names))


def _proofs(identity: Mapping[str, Any]) -> Iterator[Proof]:
    """What somebody with an identity of the file would show."""
    if "token_sha256" in identity:
        yield TokenDigest(bytes.fromhex(identity["token_sha256"]))
    elif "spiffe" in identity:
        yield CertificateProof(names_in([identity["spiffe"].replace("*", "any")], []))
    elif "dns" in identity:
        yield CertificateProof(names_in([], [identity["dns"].replace("*", "any")]))
    else:
        claims: dict[str, Any] = {}
        with suppress(_TwoValuesError):
            if "subject" in identity:
                _put(claims, ["sub"], identity["subject"])
            if "claim" in identity:
                path = identity["claim"]
                _put(claims, [path] if isinstance(path, str) else path, identity["value"])
            yield ClaimsProof(identity["issuer"], b"", claims, 0.0)


class _TwoValuesError(Exception):
    """Claims that no token has: one would have to be a text and have members."""


def _put(claims: dict[str, Any], path: list[str], value: str) -> None:
    *outer, last = path
    for name in outer:
        claims = claims.setdefault(name, {})
        if not isinstance(claims, dict):
            raise _TwoValuesError
    if isinstance(claims.get(last), dict):
        raise _TwoValuesError
    claims.setdefault(last, []).append(value)


# --- JWTs: a text, or behind a zero byte what is signed as one of ours

_ISSUER, _AUDIENCE = "https://id", "gateway"
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
_JWKS = {"keys": [{**OKPAlgorithm.to_jwk(_KEY.public_key(), as_dict=True), "kid": "k"}]}
_FOR_EVER = 2**35  # In the year 3058.

CLAIMS = json.dumps({"iss": _ISSUER, "aud": _AUDIENCE, "sub": "desk", "exp": _FOR_EVER}).encode()
GROUPS = json.dumps(
    {"iss": _ISSUER, "aud": ["x", _AUDIENCE], "exp": _FOR_EVER, "realm": {"groups": ["g"]}}
).encode()


def signed(payload: bytes) -> str:
    return PyJWS().encode(payload, _KEY, "EdDSA", headers={"kid": "k"})


def _callers_of_an_issuer() -> Callers:
    file = f"""
    [issuers."{_ISSUER}"]
    audience = "{_AUDIENCE}"
    jwks = "https://id/keys"
    [callers.desk]
    role = "reader"
    identities = [{{ issuer = "{_ISSUER}", subject = "desk" }}]
    [callers.group]
    role = "reader"
    identities = [{{ issuer = "{_ISSUER}", claim = ["realm", "groups"], value = "g" }}]
    """

    async def fetch(_: Issuer) -> bytes:
        return json.dumps(_JWKS).encode()

    callers = Callers(read_callers(file.encode()), fetch, steady=lambda: 0.0)
    ring = callers.keys.of(_ISSUER)
    assert ring is not None
    asyncio.run(ring.learnt())
    return callers


_CALLERS = _callers_of_an_issuer()
_SIGNED = {signed(it).rpartition(".")[0] for it in (CLAIMS, GROUPS)}


def web_token(data: bytes) -> None:
    token = signed(data[1:]) if data[:1] == b"\0" else data.decode("latin-1")
    try:
        found = _CALLERS.identify(Credentials(bearer=token))
    except UnidentifiedError as refused:
        why = refused.why
        # None waits for keys: all that there are have been fetched just now.
        assert why in (Unidentified.CALLER_UNKNOWN, Unidentified.TOKEN_EXPIRED)
        return
    assert isinstance(found, Identified)
    assert _CALLERS.again(found) == found.caller
    if data[:1] != b"\0":
        # Base64 has several texts for one signature; what is signed has one.
        assert token.rpartition(".")[0] in _SIGNED
        return
    claims = json.loads(data[1:])
    assert claims["iss"] == _ISSUER
    assert claims["aud"] == _AUDIENCE or _AUDIENCE in claims["aud"]
    assert int(claims["exp"]) > time.time() - LEEWAY_S - 1
    if found.caller.name == "desk":
        assert claims["sub"] == "desk"
    else:
        groups = claims["realm"]["groups"]
        assert groups == "g" or "g" in groups


# --- What a proxy forwards of its client's certificate

_CLIENT = "spiffe://example.org/sa/desk"
_CERT = f'Hash=x;Cert="{quote(Authority().client(uris=[_CLIENT]).cert, safe="")}"'


def forwarded_certificate(data: bytes) -> None:
    text = data.decode("latin-1")
    with suppress(ForwardedFormatError):
        certified_names(text)
    # What stands behind a certificate changes nothing, and no element may stand before it.
    for behind in (f"{_CERT};{text}", _CERT + text):
        with suppress(ForwardedFormatError):
            assert certified_names(behind) == names_in([_CLIENT], [])
    with suppress(ForwardedFormatError):
        raise AssertionError(certified_names(f"{text},{_CERT}"))
    try:
        found = forwarded_names(text)
    except ForwardedFormatError:
        return
    # Whatever a hop before has said, quoted or not, names nobody.
    assert forwarded_names(f"{text},URI={_CLIENT}") == names_in([_CLIENT], [])
    assert forwarded_names(f'Subject="CN=a,URI=b";DNS=a.svc,{text}') == found
