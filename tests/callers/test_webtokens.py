"""JWTs: what is taken for a proof, and all that is not."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.callers.errors import Unidentified
from tests.harness.callers import entry, with_token
from tests.harness.issuer import NAME, Key, claims
from tests.harness.verifying import DESK, URL, Stage

EC, RSA, OKP, OTHER = Key("ec"), Key("rsa", "RSA"), Key("okp", "OKP"), Key("ec")


def identified(token: str, *keys: Key, file: tuple[str, ...] = (URL, DESK)) -> str:
    async def run() -> str:
        return await Stage(*keys, file=file).who(token)

    return asyncio.run(run())


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hmac_signed(secret: bytes) -> str:
    """A token signed with a public key as if that were a secret: PyJWT itself would not make it."""
    head = f"{part({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'})}.{part(claims())}"
    return f"{head}.{part(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("key", [EC, RSA, OKP], ids=lambda it: it.id)
def test_a_signed_token_is_of_its_caller(key: Key) -> None:
    assert identified(key.sign(claims()), EC, RSA, OKP) == "desk"
    assert identified(key.sign(claims(aud=["other", "telnyx-gateway"])), EC, RSA, OKP) == "desk"


def test_a_token_that_names_no_key_is_verified_with_a_lone_one() -> None:
    nameless = EC.sign(claims(), kid=None)

    assert identified(nameless, EC) == "desk"
    assert identified(nameless, EC, RSA) == "CALLER_UNKNOWN"


GOOD = EC.sign(claims())
HEAD, PAYLOAD, SIGNATURE = GOOD.split(".")
NOW = int(time.time())

REFUSED: dict[str, str] = {
    "another key of the same name": OTHER.sign(claims()),
    "another issuer": EC.sign(claims(iss="https://evil.example")),
    "no issuer": EC.sign(claims(iss=None)),
    "another audience": EC.sign(claims(aud="billing")),
    "no audience": EC.sign(claims(aud=None)),
    "another subject": EC.sign(claims("other")),
    "no subject": EC.sign(claims(sub=None)),
    "never expires": EC.sign(claims(exp=None)),
    "not yet": EC.sign(claims(nbf=NOW + 3_600)),
    "from the future": EC.sign(claims(iat=NOW + 3_600)),
    "unsigned": f"{part({'alg': 'none', 'kid': 'ec'})}.{PAYLOAD}.",
    "unsigned in other letters": f"{part({'alg': 'nOnE', 'kid': 'ec'})}.{PAYLOAD}.",
    "signed with a public key as a secret": hmac_signed(RSA.public_pem),
    "an algorithm of another key": f"{part({'alg': 'RS256', 'kid': 'ec'})}.{PAYLOAD}.{SIGNATURE}",
    "signature cut": f"{HEAD}.{PAYLOAD}.{SIGNATURE[:-4]}",
    "no signature": f"{HEAD}.{PAYLOAD}.",
    "other claims": f"{HEAD}.{part(claims('desk', x=1))}.{SIGNATURE}",
    "own key in the header": OTHER.sign(claims(), jwk=OTHER.public),
    "a key that is a path": EC.sign(claims(), kid="../../dev/null"),
    "a key that is no text": f"{part({'alg': 'ES256', 'kid': 3})}.{PAYLOAD}.{SIGNATURE}",
    "an algorithm that is no text": f"{part({'alg': ['ES256']})}.{PAYLOAD}.{SIGNATURE}",
    "critical header": EC.sign(claims(), crit=["exp2"], exp2=1),
    "no JSON": f"{part(b'x')}.{part(b'y')}.z",
    "no objects": f"{part([1])}.{part([2])}.z",
    "deeply nested": f"{part(b'[' * 4_000)}.{PAYLOAD}.{SIGNATURE}",
    "no base64": "a b.c.d",
    "not ASCII": "ä.ö.ü",
    "dots": "..",
    "two parts": f"{HEAD}.{PAYLOAD}",
    "four parts": f"{GOOD}.x",
    "encrypted": f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d",
    "odd expiry": EC.sign(claims(exp="soon")),
    "expiry in words": EC.sign(claims(exp=[1])),
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_a_token_that_proves_nothing_is_of_nobody(token: str) -> None:
    assert identified(token, EC, RSA) == "CALLER_UNKNOWN"


def test_a_key_verifies_only_what_it_is_declared_for() -> None:
    only = Key("rsa", "RSA")
    only.public["alg"] = "PS256"

    assert identified(only.sign(claims(), alg="PS256"), EC, only) == "desk"
    assert identified(only.sign(claims(), alg="RS256"), EC, only) == "CALLER_UNKNOWN"


def test_clocks_may_be_ten_seconds_apart() -> None:
    now = int(time.time())
    for exp, wanted in ((now - 3, "desk"), (now - 60, "TOKEN_EXPIRED")):
        assert identified(EC.sign(claims(exp=exp)), EC) == wanted
    assert identified(EC.sign(claims(nbf=now + 5)), EC) == "desk"


def test_an_expiry_beyond_all_times_is_one() -> None:
    assert identified(EC.sign(claims(exp=10**400)), EC) == "desk"


def test_expired_is_said_only_of_tokens_that_were_right_once() -> None:
    past = claims(exp=NOW - 3_600)

    assert identified(EC.sign(past), EC) == "TOKEN_EXPIRED"
    assert identified(OTHER.sign(past), EC) == "CALLER_UNKNOWN"


@given(
    text=st.text(max_size=60)
    | st.builds(
        lambda head, payload, rest: f"{part(head)}.{part(payload)}.{rest}",
        st.fixed_dictionaries(
            {},
            optional={
                "alg": st.sampled_from(["ES256", "RS256", "HS256", "none", 3, None]),
                "kid": st.sampled_from(["ec", "rsa", "x", 3, None]),
                "crit": st.sampled_from([["b64"], 1, []]),
                "b64": st.booleans(),
            },
        ),
        st.fixed_dictionaries({}, optional={"iss": st.sampled_from([NAME, 3]), "exp": st.floats()}),
        st.sampled_from([SIGNATURE, "", "!", "é"]),
    )
)
def test_whatever_is_sent_as_a_token_is_refused_in_one_way(text: str) -> None:
    assert identified(text, EC, RSA) == "CALLER_UNKNOWN"


CLAIMS = (
    URL,
    entry("by-role", "reader", f'issuer = "{NAME}", claim = "role", value = "board"'),
    entry(
        "by-path",
        "reader",
        f'issuer = "{NAME}", claim = ["realm_access", "roles"], value = "desk"',
    ),
    entry("both", "reader", f'issuer = "{NAME}", subject = "x", claim = "team", value = "y"'),
)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"role": "board"}, "by-role"),
        ({"role": ["desk", "board"]}, "by-role"),
        ({"role": ["desk"]}, "CALLER_UNKNOWN"),
        ({"role": {"board": True}}, "CALLER_UNKNOWN"),
        ({"role": "boards"}, "CALLER_UNKNOWN"),
        ({"realm_access": {"roles": ["desk"]}}, "by-path"),
        ({"realm_access": {"roles": "desk"}}, "by-path"),
        ({"realm_access.roles": ["desk"]}, "CALLER_UNKNOWN"),
        ({"realm_access": ["roles"]}, "CALLER_UNKNOWN"),
        ({"realm_access": "roles"}, "CALLER_UNKNOWN"),
        ({"sub": "x", "team": "y"}, "both"),
        ({"sub": "x"}, "CALLER_UNKNOWN"),
        ({"team": "y"}, "CALLER_UNKNOWN"),
        # Two callers at once are none.
        ({"role": "board", "realm_access": {"roles": ["desk"]}}, "CALLER_UNKNOWN"),
    ],
)
def test_a_caller_is_known_by_its_claims(found: dict[str, Any], wanted: str) -> None:
    assert identified(EC.sign(claims(**found)), EC, file=CLAIMS) == wanted


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_a_token_is_verified_once_and_not_after_it_has_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified = []
    decode = jwt.decode

    def counted(token: str, *args: Any, **kwargs: Any) -> Any:
        verified.append(token)
        return decode(token, *args, **kwargs)

    monkeypatch.setattr(jwt, "decode", counted)

    async def test() -> None:
        stage = Stage(EC)
        token = EC.sign(claims())
        assert [await stage.who(token) for _ in range(3)] == ["desk"] * 3
        assert len(verified) == 1
        stage.clock.advance(3_600 + 9)
        assert stage.at_once(token) == "desk"
        stage.clock.advance(3)
        assert stage.at_once(token) == "TOKEN_EXPIRED"

    run(test)


def test_a_token_with_two_dots_that_is_in_the_file_is_no_jwt() -> None:
    file = (URL, DESK, with_token("board", "reader", "a.b.c"))

    assert identified("a.b.c", EC, file=file) == "board"


def test_why_is_of_few_words() -> None:
    """Whoever guesses learns no more than that."""
    assert {it.name for it in Unidentified} == {
        "CREDENTIALS_MISSING",
        "CALLER_UNKNOWN",
        # Only of what a trusted proxy has written.
        "FORWARDED_UNREADABLE",
        "TOKEN_EXPIRED",
        "KEYS_UNAVAILABLE",
    }
