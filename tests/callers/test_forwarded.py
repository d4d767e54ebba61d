"""Client certificates that proxies forward: the header's grammar."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.callers.forwarded import ForwardedFormatError, certified_names, forwarded_names
from tests.harness.certificates import Authority

DESK = "spiffe://example.org/ns/voice/sa/desk"
OTHER = "spiffe://example.org/ns/voice/sa/other"


def names(text: str) -> list[str]:
    return [str(it) for it in forwarded_names(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"URI={DESK}", [DESK]),
        (f"By=spiffe://example.org/envoy;Hash=ab12;URI={DESK};DNS=a.svc;DNS=b.svc", [DESK]),
        (f'By=;Hash=ab;Subject="CN=desk,O=\\"x;URI={OTHER}";URI={DESK}', [DESK]),
        # A subject that ends in a backslash, as RFC 2253 writes it.
        (f'Subject="CN=x\\\\";URI={DESK}', [DESK]),
        (f'subject="";uri="{DESK}"', [DESK]),
        (f'Cert="-----BEGIN%20CERTIFICATE";Hash=x;URI={DESK}', [DESK]),
        ("Hash=ab;URI=", []),
        # What a hop before has said, whatever it is.
        (f"URI={OTHER},URI={DESK}", [DESK]),
        (f"By=x;URI={OTHER};DNS=o.svc, By=y;Hash=z;URI={DESK}", [DESK]),
        (f"URI={OTHER},Hash=ab", []),
        # No SPIFFE document.
        (f"URI={OTHER};URI={DESK}", []),
        ("URI=https://example.org/desk", []),
    ],
)
def test_the_names_are_those_of_the_last_element(text: str, found: list[str]) -> None:
    dns = [it for it in names(text) if not it.startswith("spiffe")]
    assert [it for it in names(text) if it not in dns] == found
    assert dns == (["a.svc", "b.svc"] if "a.svc" in text else [])


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1),
        (DESK, 1),
        (f"URI={DESK},", len(DESK) + 6),
        (f"URI={DESK};", len(DESK) + 6),
        (f",URI={DESK}", 1),
        (f'URI="{DESK}', 1),
        (f'Subject="a"b;URI={DESK}', 1),
        (f'Subject=a"b;URI={DESK}', 1),
        (f"URI={OTHER},=x,URI={DESK}", len(OTHER) + 6),
    ],
)
def test_what_does_not_follow_the_grammar_is_refused_where_it_ends(text: str, at: int) -> None:
    with pytest.raises(ForwardedFormatError, match=rf"^is malformed at character {at}$"):
        names(text)


VALUES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
KEYS = st.sampled_from(["By", "Hash", "Cert", "Chain", "Subject", "subject", "x"])


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(st.lists(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4), max_size=3), VALUES)
def test_no_value_that_is_quoted_names_anybody(
    before: list[list[tuple[str, str]]], subject: str
) -> None:
    elements = [";".join(f"{key}={quoted(it)}" for key, it in pairs) for pairs in before]
    mine = f"Subject={quoted(subject + ';URI=' + OTHER)};URI={DESK}"
    assert names(",".join([*elements, mine])) == [DESK]


@given(st.text() | st.text('\\",;= URIDNSa.', max_size=30))
def test_any_text_has_names_or_is_refused(text: str) -> None:
    try:
        found = forwarded_names(text)
    except ForwardedFormatError:
        return
    assert all(str(it) in text.lower() or str(it) in text for it in found) or "\\" in text


CA = Authority()


def cert_of(*dns: str, uris: tuple[str, ...] = ()) -> str:
    """A certificate as Envoy writes it."""
    return f'Cert="{quote(CA.client(*dns, uris=uris).cert, safe="")}"'


CERT = cert_of("a.svc", "10.0.0.1", uris=(DESK,))


@pytest.mark.parametrize(
    "text",
    [
        CERT,
        f"By=spiffe://example.org/envoy;Hash=ab12;{CERT}",
        f'By=x;By=y;Hash=ab;{CERT};Subject="CN=a";URI={DESK};DNS=a.svc',
        # Names that a client has had signed so that they look like more.
        f"Hash=ab;{CERT};URI={OTHER};DNS=other.svc",
        f"Hash=ab;{CERT};URI=x;{cert_of(uris=(OTHER,))}",
    ],
)
def test_the_names_are_those_of_the_certificate_whatever_stands_behind_it(text: str) -> None:
    assert sorted(map(str, certified_names(text))) == ["a.svc", DESK]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is malformed at character 1"),
        (f"Hash=ab;URI={DESK}", "has no certificate before all names"),
        # A certificate that stands where a client has had a say.
        (f"URI={DESK};{CERT}", "has no certificate before all names"),
        (f'Hash=ab;Subject="";{CERT}', "has no certificate before all names"),
        (f"Hash=ab;{CERT},Hash=cd;{CERT}", "has more than one element"),
        (f"Hash=ab;{CERT};DNS=x,URI={OTHER}", "has more than one element"),
        (f'Hash=ab;{CERT};Subject="x', "is malformed"),
        (f'{CERT};Subject=",Hash=ab;{CERT}', "is malformed"),
        ('Hash=ab;Cert=""', "has a certificate that cannot be read"),
        (f'Hash=ab;{CERT[:400]}"', "has a certificate that cannot be read"),
    ],
)
def test_what_is_not_one_certificate_is_refused(text: str, says: str) -> None:
    with pytest.raises(ForwardedFormatError, match=f"^{says}"):
        certified_names(text)


def test_a_certificate_without_names_names_nobody() -> None:
    assert certified_names(cert_of()) == ()
