"""Signatures among whatever header lines there are: a good one is found, and no other gets in."""

import base64
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError

from gateway.ingest.webhooks.signature import SignatureError, SignatureVerifier
from tests.harness.clock import ManualClock
from tests.harness.webhooks import Signer

Lines: TypeAlias = list[tuple[bytes, bytes]]

NOW = 1_800_000_000
BODY = b'{"data": {"id": "e"}}'
OWN, OTHER = Signer(1), Signer(9)
TELNYX, STANDARD = b"telnyx-signature-ed25519", b"webhook-signature"
NAMES = [TELNYX, STANDARD, b"telnyx-timestamp", b"webhook-timestamp", b"webhook-id"]

verifier = SignatureVerifier([OWN.raw_public_key], ManualClock(NOW))
with_two_keys = SignatureVerifier([Signer(8).raw_public_key, OWN.raw_public_key], ManualClock(NOW))


def verify(verifier: SignatureVerifier, lines: Lines, body: bytes) -> None:
    verifier.verify(verifier.read(lines), body)


def encoded(headers: dict[str, str]) -> Lines:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def signature(message: bytes, signer: Signer = OWN) -> bytes:
    return signer.signature(message).encode()


FORGED = signature(b"%d|%b" % (NOW, BODY), OTHER)
BROKEN = [b"", b"%%%", b"c2hvcnQ=", FORGED[:-2], base64.b64encode(bytes(65)), b"v1a,", b"\xff"]
STALE = [b"%d" % (NOW - 301), b"%d" % (NOW + 301), b"yesterday", b"-1", b"9" * 400, b""]
MEMBERS = [b"v1,Zm9v", b"v1a,%%%", b"v1a,", b"v2b,x", b"v1a", b"v1a," + FORGED, b""]

broken_lines = st.lists(
    st.one_of(
        st.tuples(st.just(TELNYX), st.sampled_from([*BROKEN, FORGED])),
        st.tuples(st.just(STANDARD), st.lists(st.sampled_from(MEMBERS)).map(b" ".join)),
        st.tuples(
            st.sampled_from([b"telnyx-timestamp", b"webhook-timestamp"]), st.sampled_from(STALE)
        ),
        st.tuples(st.just(b"webhook-id"), st.sampled_from([b"", b"a|b"])),
        st.tuples(st.sampled_from([b"x-other", b"content-length"]), st.sampled_from(BROKEN)),
    ),
    max_size=6,
)


@given(st.data(), broken_lines, st.sampled_from([OWN.telnyx, OWN.standard]))
def test_a_good_signature_is_found_whatever_stands_beside_it(
    data: st.DataObject, noise: Lines, sign: object
) -> None:
    good = encoded(sign(BODY, NOW))  # type: ignore[operator]
    lines = data.draw(st.permutations(noise + good))

    for each in (verifier, with_two_keys):
        verify(each, lines, BODY)


@given(st.data(), broken_lines)
def test_lines_that_a_proxy_has_joined_are_read_as_if_it_had_not(
    data: st.DataObject, noise: Lines
) -> None:
    """RFC 9110, 5.3: with a comma, in their order. An id is one text and never joined."""
    sign = data.draw(st.sampled_from([OWN.telnyx, OWN.standard]))
    separator = data.draw(st.sampled_from([b",", b", ", b" ,\t"]))
    lines = data.draw(st.permutations(noise + encoded(sign(BODY, NOW))))
    joined: dict[bytes, bytes] = {}
    ids: Lines = []
    for name, value in lines:
        if name == b"webhook-id":
            ids.append((name, value))
        else:
            joined[name] = joined[name] + separator + value if name in joined else value

    verify(verifier, ids + list(joined.items()), BODY)


@given(st.integers(0, 7))
def test_a_list_may_hold_many_signatures_of_which_one_is_good(place: int) -> None:
    message = b"msg_1.%d.%b" % (NOW, BODY)
    members = [b"v1a," + signature(message, Signer(100 + number)) for number in range(7)]
    members.insert(place, b"v1a," + signature(message))
    lines = [
        (b"webhook-id", b"msg_1"),
        (b"webhook-timestamp", b"%d" % NOW),
        (STANDARD, b" ".join(members)),
    ]

    verify(verifier, lines, BODY)


def test_no_request_costs_more_than_so_many_verifications(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[bytes] = []

    class Counting:
        def verify(self, message: bytes, signature: bytes) -> None:
            costs.append(message)
            raise BadSignatureError

    verifier = SignatureVerifier([OWN.raw_public_key], ManualClock(NOW))
    monkeypatch.setattr(verifier, "_keys", [Counting()])
    forged = [signature(b"%d" % number, OTHER) for number in range(200)]
    lines = [(TELNYX, it) for it in forged] + [(STANDARD, b"v1a," + it) for it in forged]
    for name in (b"telnyx-timestamp", b"webhook-timestamp", b"webhook-id"):
        lines += [(name, b"%d" % (NOW + number)) for number in range(200)]

    with pytest.raises(SignatureError) as caught:
        verify(verifier, lines, BODY)

    assert caught.value.reason == "SIGNATURE_MISMATCH"
    assert len(costs) == 16


# What somebody may have seen or can make without the key: signatures of other bodies and of
# earlier times, genuine or not, and every part of the headers.
OLD = NOW - 1_000
KNOWN_SIGNATURES = [
    FORGED,
    signature(b"%d|%b" % (OLD, BODY)),
    signature(b"%d|%b" % (NOW, b"another body")),
    signature(b"msg_1.%d.%b" % (OLD, BODY)),
    signature(b"msg_1.%d.%b" % (NOW, b"another body")),
    signature(BODY),
]
TIMES = [b"%d" % NOW, b"%d" % OLD, b"%d" % (NOW + 1), b"%d,%d" % (OLD, NOW)]
known = st.sampled_from(KNOWN_SIGNATURES)
values = {
    TELNYX: st.lists(known, min_size=1).map(b", ".join),
    STANDARD: st.lists(known.map(b"v1a,%b".__mod__), min_size=1).map(b" ".join),
    b"telnyx-timestamp": st.sampled_from(TIMES),
    b"webhook-timestamp": st.sampled_from(TIMES),
    b"webhook-id": st.sampled_from([b"msg_1", b"%d|" % NOW, b"x", b"%d" % NOW]),
}
lines_without_the_key = st.lists(
    st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), values[name])), max_size=12
)


@given(lines_without_the_key)
def test_no_combination_without_the_key_gets_in(lines: Lines) -> None:
    with pytest.raises(SignatureError):
        verify(verifier, lines, BODY)


@example([(b"telnyx-signature-ed25519", b""), (b"telnyx-timestamp", b"\x00")])
@example([(b"webhook-signature", b"")])
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=90)), max_size=12))
def test_whatever_headers_hold_the_answer_is_a_refusal(lines: Lines) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(verifier, lines, BODY)

    assert str(caught.value)


def test_what_was_signed_in_one_scheme_is_not_read_in_the_other() -> None:
    """A part of a body that a caller chose, such as a name, must not become a body by itself."""
    inner = b'{"data": {"id": "chosen"}}'
    sent = b"hello.%d.%b" % (NOW, inner)
    seen = signature(b"%d|%b" % (NOW, sent))
    lines = [
        (b"webhook-id", b"%d|hello" % NOW),
        (b"webhook-timestamp", b"%d" % NOW),
        (STANDARD, b"v1a," + seen),
    ]

    with pytest.raises(SignatureError):
        verify(verifier, lines, inner)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "MISSING_HEADER"),
        ([(b"telnyx-timestamp", b"%d" % NOW)], "MISSING_HEADER"),
        ([(TELNYX, b"%%%"), (b"telnyx-timestamp", b"%d" % NOW)], "BAD_SIGNATURE"),
        ([(TELNYX, FORGED), (b"telnyx-timestamp", b"soon")], "BAD_TIMESTAMP"),
        (
            [(TELNYX, FORGED), (b"telnyx-timestamp", b"soon"), (b"telnyx-timestamp", b"%d" % OLD)],
            "STALE_TIMESTAMP",
        ),
        (
            [
                (TELNYX, FORGED),
                (TELNYX, b"%%%"),
                (b"telnyx-timestamp", b"%d" % OLD),
                (b"telnyx-timestamp", b"%d" % NOW),
                (STANDARD, b"v1,x"),
            ],
            "SIGNATURE_MISMATCH",
        ),
    ],
)
def test_the_reason_is_that_of_the_signature_that_came_furthest(lines: Lines, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(verifier, lines, BODY)

    assert caught.value.reason == reason
