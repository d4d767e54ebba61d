"""The callers file: what it says, and every mistake in it at once."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.callers.caller import Caller, Role
from gateway.callers.credentials import CertificateProof
from gateway.callers.errors import CallersFileError, UnidentifiedError
from gateway.callers.file import CALLERS_MAX, IDENTITIES_MAX, read_callers
from gateway.callers.limits import Limits
from gateway.callers.patterns import CertificateName, NameKind
from gateway.callers.roster import Roster
from gateway.callers.tokens import TokenDigest, line_for_file, new_token
from gateway.journal.filter import Filter, Limit
from tests.harness.callers import digest, entry, with_token


def read(*entries: str) -> Roster:
    return read_callers("\n".join(entries).encode())


def mistakes(*entries: str) -> list[str]:
    with pytest.raises(CallersFileError) as raised:
        read(*entries)
    return str(raised.value).splitlines()


def certificate(*names: str) -> CertificateProof:
    found = []
    for text in names:
        kind = NameKind.SPIFFE if text.startswith("spiffe") else NameKind.DNS
        name = CertificateName.of(kind, text)
        assert name is not None
        found.append(name)
    return CertificateProof(tuple(found))


def test_a_caller_is_known_by_each_of_its_identities() -> None:
    roster = read(
        entry(
            "desk",
            "operator",
            'spiffe = "spiffe://example.org/ns/*/sa/desk"',
            'dns = "desk.voice.svc"',
            f'token_sha256 = "{digest("old")}"',
            f'token_sha256 = "{digest("new").upper()}"',
        ),
        with_token("board", "reader", "other"),
    )

    desk = Caller("desk", Role.OPERATOR)
    assert len(roster) == 2
    for proof in (
        TokenDigest.of("old"),
        TokenDigest.of("new"),
        certificate("spiffe://example.org/ns/voice/sa/desk"),
        certificate("desk.voice.svc"),
        certificate("unknown.svc", "desk.voice.svc"),
        certificate("spiffe://example.org/ns/voice/sa/desk", "desk.voice.svc"),
    ):
        assert roster.caller_of(proof) == desk
    assert roster.caller_of(TokenDigest.of("other")) == Caller("board", Role.READER)


@pytest.mark.parametrize(
    "proof",
    [
        TokenDigest.of("another"),
        TokenDigest.of(""),
        TokenDigest.of(digest("old")),
        certificate("other.voice.svc"),
        certificate("spiffe://example.org/ns/voice/sa/other"),
        certificate("spiffe://example.org/ns/voice/sa/desk/more"),
    ],
)
def test_nothing_else_is_of_a_caller(proof: CertificateProof | TokenDigest) -> None:
    spiffe = 'spiffe = "spiffe://example.org/ns/*/sa/desk"'
    roster = read(entry("desk", "admin", spiffe), with_token("board", "admin", "old"))

    with pytest.raises(UnidentifiedError):
        roster.caller_of(proof)


def test_a_certificate_with_the_names_of_two_callers_is_of_neither() -> None:
    roster = read(entry("a", "reader", 'dns = "a.svc"'), entry("b", "admin", 'dns = "*.b.svc"'))

    with pytest.raises(UnidentifiedError, match=r"of more than one caller: a\.svc, x\.b\.svc"):
        roster.caller_of(certificate("a.svc", "x.b.svc"))


def test_a_line_that_the_command_prints_is_the_identity_of_its_token() -> None:
    token = new_token()
    listed = line_for_file(token)
    assert token not in listed
    assert token != new_token()

    roster = read(f'[callers.desk]\nrole = "admin"\nidentities = [{listed}]')
    assert roster.caller_of(TokenDigest.of(token)).name == "desk"


def test_every_mistake_is_named_at_once_with_where_it_is() -> None:
    found = mistakes(
        'caller = "x"',
        '[callers."no name"]\nrole = "reader"\nidentities = [{dns = "a.svc"}]',
        '[callers.none]\nrole = "king"\nroles = "reader"',
        entry("odd", "admin", 'dns = "a..svc"', 'spiffe = "spiffe://*/x"', 'token_sha256 = "abc"'),
        entry("more", "admin", 'dns = "b.svc", spiffe = "x"', 'dsn = "c.svc"', "dns = 3"),
        '[callers.bound]\nrole = "admin"\nidentities = [{dns = "d.svc"}]\nconnections = []',
    )

    assert found == [
        "the file has 'caller', which means nothing: did you mean callers?",
        "callers.'no name' is no name: use up to 63 letters, digits, - and _",
        "callers.none has 'roles', which means nothing: did you mean role?",
        "callers.none.role must be one of reader, operator, admin",
        "callers.none.identities must list at least one identity, such as { dns = ... }",
        "callers.odd.identities[1].dns is not a DNS name, such as desk.voice.svc;"
        " * stands for one whole segment",
        "callers.odd.identities[2].spiffe has a * for the trust domain: name the domain that is"
        " trusted",
        "callers.odd.identities[3].token_sha256 is not a SHA-256 in hexadecimal (64 digits):"
        " `telnyx-gateway token` makes a token and prints this line",
        "callers.more.identities[1] must have one of spiffe, dns, token_sha256, issuer, and only"
        " one",
        "callers.more.identities[2] has 'dsn', which means nothing: did you mean dns?",
        "callers.more.identities[3].dns must be a text in quotes",
        "callers.bound.connections must list at least one; leave it out for no bounds",
        "callers.bound is bound to connections or queues, which is not supported yet",
    ]


@pytest.mark.parametrize("text", ["", "[callers]", "# nobody"])
def test_a_file_without_callers_is_a_mistake_and_locks_nobody_out_by_accident(text: str) -> None:
    assert mistakes(text) == ["callers is empty: nobody could call"]


@pytest.mark.parametrize("text", ["callers = 3", "[[callers]]\nrole = 'admin'"])
def test_what_is_no_table_is_said_to_be_none(text: str) -> None:
    assert mistakes(text)[0] == "callers must be a table"


def test_what_is_not_toml_is_named_with_its_line() -> None:
    (found,) = mistakes("[callers.a]\nrole = reader")
    assert found.startswith("is not TOML: ")
    assert "line 2" in found
    with pytest.raises(CallersFileError, match="is not TOML"):
        read_callers(b"\xff\xfe")


def test_a_token_in_place_of_its_digest_is_not_shown() -> None:
    token = new_token()
    (found,) = mistakes(entry("a", "reader", f'token_sha256 = "{token}"'))
    assert token not in found


def test_the_digest_of_nothing_is_none() -> None:
    assert mistakes(with_token("a", "reader", ""), with_token("b", "reader", "\n")) == [
        f"callers.{name}.identities[1].token_sha256 is the SHA-256 of nothing: make it of the token"
        for name in "ab"
    ]


def test_one_identity_of_two_callers_is_refused_and_both_are_named() -> None:
    found = mistakes(
        with_token("a", "reader", "one", "two"),
        with_token("b", "admin", "two"),
        entry("c", "reader", 'dns = "x.svc"', 'spiffe = "spiffe://example.org/ns/*/sa/x"'),
        entry("d", "admin", 'dns = "X.svc"', 'spiffe = "spiffe://example.org/ns/voice/sa/*"'),
        entry("e", "admin", 'spiffe = "spiffe://example.org/ns/chat/sa/x"'),
    )

    assert found == [
        "callers.b.identities[1] is the token of callers.a.identities[2] again",
        "callers.d.identities[1] is callers.c.identities[1] again: x.svc",
        "callers.c.identities[2] (spiffe://example.org/ns/*/sa/x) and callers.d.identities[2]"
        " (spiffe://example.org/ns/voice/sa/*) fit one name, and are of two callers",
        "callers.c.identities[2] (spiffe://example.org/ns/*/sa/x) and callers.e.identities[1]"
        " (spiffe://example.org/ns/chat/sa/x) fit one name, and are of two callers",
    ]


def test_patterns_of_one_caller_may_overlap() -> None:
    both = ('dns = "*.voice.svc"', 'dns = "desk.*.svc"', 'dns = "desk.voice.svc"')
    roster = read(entry("desk", "reader", *both))

    assert roster.caller_of(certificate("desk.voice.svc")).name == "desk"


def test_there_are_bounds_on_how_many_there_are() -> None:
    many = [with_token(f"c{number}", "reader", str(number)) for number in range(CALLERS_MAX + 1)]
    assert len(read(*many[1:])) == CALLERS_MAX
    assert mistakes(*many) == ["callers has 1001 callers; 1000 is the maximum"]
    tokens = [str(number) for number in range(IDENTITIES_MAX + 1)]
    assert mistakes(with_token("a", "reader", *tokens)) == [
        "callers.a.identities has 21 identities; 20 is the maximum"
    ]


def test_who_binds_callers_is_given_those_that_are_bound() -> None:
    seen = Filter((Limit(0, frozenset({"17"})),))
    roster = read_callers(
        (
            with_token("free", "reader", "free")
            + with_token("bound", "reader", "bound")
            + 'connections = ["17"]\nqueues = ["support", "sales"]'
        ).encode(),
        lambda caller: replace(caller, visible=seen),
    )

    assert roster.caller_of(TokenDigest.of("free")) == Caller("free", Role.READER)
    assert roster.caller_of(TokenDigest.of("bound")) == Caller(
        "bound", Role.READER, frozenset({"17"}), frozenset({"support", "sales"}), seen
    )


def test_a_caller_has_the_limits_that_the_file_sets_and_defaults_for_the_rest() -> None:
    desk, board = with_token("desk", "reader", "one"), with_token("board", "reader", "two")
    roster = read(desk, "limits = { streams = 3, calls_per_second = 2.5 }", board)

    assert roster.caller_of(TokenDigest.of("one")).limits == Limits(2.5, 5, streams=3)
    assert roster.caller_of(TokenDigest.of("two")).limits == Limits()


def test_every_mistake_about_limits_is_named() -> None:
    desk, board = with_token("desk", "reader", "one"), with_token("board", "reader", "two")

    assert mistakes(desk, "limits = { streams = 0, burs = 1 }", board, "limits = 5") == [
        "callers.desk.limits: streams must be a whole number from 1 to 100,000",
        "callers.desk.limits: 'burs' is no limit: did you mean burst?",
        "callers.board.limits must be a table",
    ]


def test_files_that_say_the_same_are_equal() -> None:
    one = read(with_token("a", "reader", "x"), "# a remark")
    assert one == read(with_token("a", "reader", "x"))
    assert one != read(with_token("a", "admin", "x"))
    assert one != read(with_token("a", "reader", "x", "y"))


def test_every_mistake_about_jwts_is_named() -> None:
    found = mistakes(
        '[issuers."https://a.example"]',
        '[issuers.b]\naudience = []\njwks = "http://keys.example/jwks"\nca = "ca.pem"',
        '[issuers.c]\naudience = ["x", 3]\njwks = "jwks.json"\nalgorithm = "none"',
        '[issuers.d]\naudience = "x"\njwks = "https://user:pass@keys.example"',
        entry("v", "reader", 'issuer = "b"', 'issuer = "e", subject = "x"'),
        entry("w", "reader", 'issuer = "b", subject = 3', 'issuer = "b", claim = "x"'),
        entry("x", "reader", 'issuer = "b", claim = [], value = "x"', 'issuer = "b", sub = "x"'),
        entry("y", "reader", 'issuer = "b", subject = "y"', 'issuer = "b", dns = "y.svc"'),
    )

    assert found == [
        "issuers.'https://a.example'.audience must be a text in quotes, or a list of them",
        "issuers.'https://a.example'.jwks must be a text in quotes",
        "issuers.'https://a.example'.jwks must be an https:// URL, or the absolute path of a file",
        "issuers.'b'.audience must be a text in quotes, or a list of them",
        "issuers.'b'.jwks must be https://: keys from keys.example could be replaced on their way",
        "issuers.'b'.ca must be the absolute path of a file",
        "issuers.'c' has 'algorithm', which means nothing; known are audience, jwks, ca",
        "issuers.'c'.audience must be a text in quotes",
        "issuers.'c'.jwks must be an https:// URL, or the absolute path of a file",
        "issuers.'d'.jwks must be an https:// URL, or the absolute path of a file",
        "callers.v.identities[1] must have a subject, or a claim with its value",
        'callers.v.identities[2].issuer is none of the file\'s issuers ([issuers."..."])',
        "callers.w.identities[1].subject must be a text in quotes",
        "callers.w.identities[2].value must be a text in quotes",
        "callers.x.identities[1].claim must be a name in quotes, or a list of names",
        "callers.x.identities[2] has 'sub', which means nothing: did you mean subject?",
        "callers.x.identities[2] must have a subject, or a claim with its value",
        "callers.y.identities[2] has 'dns', which means nothing; known are issuer, subject, claim,"
        " value",
        "callers.y.identities[2] must have a subject, or a claim with its value",
    ]


def test_every_mistake_about_proxies_is_named() -> None:
    desk = entry("desk", "reader", 'dns = "desk.svc"', 'spiffe = "spiffe://example.org/sa/envoy"')
    found = mistakes(
        desk,
        '[[proxies]]\ndns = "*.svc"',
        '[[proxies]]\nspiffe = "spiffe://example.org/sa/*"',
        '[[proxies]]\ntoken_sha256 = "x"\ndns = "envoy.example"',
        "[[proxies]]",
        '[[proxies]]\ndns = "*"',
        '[[proxies]]\ndns = "edge.example"\nforwards = "all"',
    )

    assert found == [
        "proxies[3] has 'token_sha256', which means nothing; known are spiffe, dns, forwards",
        "proxies[4] must have one of spiffe, dns, and only one",
        "proxies[5].dns ends in *: name the domain that is trusted",
        "proxies[6].forwards must be one of certificate, names",
        "proxies[1] (*.svc) and callers.desk.identities[1] (desk.svc) fit one name:"
        " a proxy is no caller",
        "proxies[2] (spiffe://example.org/sa/*) and callers.desk.identities[2]"
        " (spiffe://example.org/sa/envoy) fit one name: a proxy is no caller",
    ]
    assert mistakes("proxies = 3", desk) == ["proxies must be a list of tables: [[proxies]]"]
    many = "[[proxies]]\ndns = 'envoy.example'\n" * (IDENTITIES_MAX + 1)
    assert mistakes(desk, many) == ["proxies has 21 proxies; 20 is the maximum"]
    assert read(desk) != read(desk, '[[proxies]]\ndns = "envoy.example"')


def test_claims_that_fit_one_token_and_are_of_two_callers_are_refused() -> None:
    issuer = '[issuers.i]\naudience = "x"\njwks = "https://i.example/jwks"'
    found = mistakes(
        issuer,
        entry("a", "reader", 'issuer = "i", subject = "x"', 'issuer = "i", subject = "x"'),
        entry("b", "reader", 'issuer = "i", subject = "x", claim = "role", value = "y"'),
        entry("c", "reader", 'issuer = "i", claim = "role", value = "z"'),
    )

    assert found == [
        "callers.a.identities[2] is callers.a.identities[1] again: i: sub=x",
        "callers.a.identities[1] (i: sub=x) and callers.b.identities[1] (i: role=y, sub=x) fit one"
        " token, and are of two callers",
        "callers.a.identities[2] (i: sub=x) and callers.b.identities[1] (i: role=y, sub=x) fit one"
        " token, and are of two callers",
    ]


values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "identities", "dns", "spiffe", "token_sha256", "queues"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return "".join(["'", *(it for it in value if it.isalnum() and it.isascii()), "'"])
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{key} = {toml(it)}' for key, it in value.items())}}}"
    return str(value)


@given(value=values)
def test_whatever_stands_in_a_file_is_a_roster_or_mistakes_in_words(value: object) -> None:
    text = f"callers = {{a = {toml(value)}}}"
    tomllib.loads(text)
    found: list[str] = []
    try:
        read_callers(text.encode())
    except CallersFileError as error:
        found = str(error).splitlines()
    assert all(it.startswith("callers") for it in found)
