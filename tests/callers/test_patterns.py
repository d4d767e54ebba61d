"""Names in certificates, and the patterns that they fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.callers.patterns import CertificateName, NameKind, NamePattern

SPIFFE, DNS = NameKind.SPIFFE, NameKind.DNS

SEGMENTS = st.sampled_from(["a", "b", "desk", "x-1"])


def spiffe(path: list[str]) -> str:
    return "spiffe://example.org/" + "/".join(path)


def dns(labels: list[str]) -> str:
    return ".".join([*labels, "svc"])


WRITTEN = {SPIFFE: spiffe, DNS: dns}
kinds = st.sampled_from(NameKind)
names = st.lists(SEGMENTS, min_size=1, max_size=4)
patterns = st.lists(SEGMENTS | st.just("*"), min_size=1, max_size=4)


def name_of(kind: NameKind, text: str) -> CertificateName:
    found = CertificateName.of(kind, text)
    assert found is not None
    return found


def model(kind: NameKind, pattern: str) -> re.Pattern[str]:
    """The same pattern as a regular expression."""
    segment = "[^/]+" if kind is SPIFFE else "[^.]+"
    return re.compile(re.escape(pattern).replace(r"\*", segment))


@given(kind=kinds, pattern=patterns, name=names)
def test_a_star_fits_one_segment_never_more_or_fewer(
    kind: NameKind, pattern: list[str], name: list[str]
) -> None:
    write = WRITTEN[kind]
    fits = NamePattern.read(kind, write(pattern)).fits(name_of(kind, write(name)))

    assert fits == bool(model(kind, write(pattern)).fullmatch(write(name)))


@given(kind=kinds, one=patterns, other=patterns, fresh=names)
def test_patterns_overlap_if_and_only_if_there_is_a_name_that_fits_both(
    kind: NameKind, one: list[str], other: list[str], fresh: list[str]
) -> None:
    write = WRITTEN[kind]
    first, second = (NamePattern.read(kind, write(it)) for it in (one, other))
    overlap = first.overlaps(second)
    assert overlap == second.overlaps(first)

    if overlap:
        pairs = zip(one, other, strict=True)
        both = ["any" if (a, b) == ("*", "*") else (b if a == "*" else a) for a, b in pairs]
        assert first.fits(name_of(kind, write(both)))
        assert second.fits(name_of(kind, write(both)))
    else:
        name = name_of(kind, write(fresh))
        assert not (first.fits(name) and second.fits(name))


@given(kind=kinds, pattern=patterns)
def test_a_pattern_reads_as_it_was_written(kind: NameKind, pattern: list[str]) -> None:
    text = WRITTEN[kind](pattern)
    assert str(NamePattern.read(kind, text)) == text


@given(text=st.text())
def test_any_text_in_a_certificate_is_a_name_or_none(text: str) -> None:
    for kind in NameKind:
        found = CertificateName.of(kind, text)
        assert found is None or CertificateName.of(kind, str(found)) == found


def test_names_of_one_kind_do_not_fit_patterns_of_the_other() -> None:
    pattern = NamePattern(DNS, ("a", "b"))
    assert not pattern.fits(CertificateName(SPIFFE, ("a", "b")))
    assert not pattern.overlaps(NamePattern(SPIFFE, ("a", "b")))


def test_dns_names_have_no_case_and_spiffe_paths_do() -> None:
    assert NamePattern.read(DNS, "Desk.SVC").fits(name_of(DNS, "desk.svc."))
    pattern = NamePattern.read(SPIFFE, "spiffe://example.org/Desk")
    assert not pattern.fits(name_of(SPIFFE, "spiffe://example.org/desk"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SPIFFE, "spiffe://example.org"),
        (SPIFFE, "spiffe://example.org/"),
        (SPIFFE, "spiffe://example.org/a/"),
        (SPIFFE, "spiffe://example.org//a"),
        (SPIFFE, "spiffe://example.org/a/../b"),
        (SPIFFE, "spiffe://example.org/."),
        (SPIFFE, "spiffe://example.org/a%2fb"),
        (SPIFFE, "spiffe://example.org/a?x=1"),
        (SPIFFE, "spiffe://Example.org/a"),
        (SPIFFE, "spiffe://example.org:443/a"),
        (SPIFFE, "spiffe://user@example.org/a"),
        (SPIFFE, "spiffe:///a"),
        (SPIFFE, "https://example.org/a"),
        (SPIFFE, "spiffe://example.org/a*"),
        (SPIFFE, "spiffe://example.org/**"),
        (SPIFFE, "spiffe://example.org/a\n"),
        (SPIFFE, "spiffe://example.org/" + "a" * 2_048),
        (DNS, ""),
        (DNS, "."),
        (DNS, "a..svc"),
        (DNS, "-a.svc"),
        (DNS, "a*.svc"),
        (DNS, "a.svc\n"),
        (DNS, "*a.svc"),
        (DNS, "bücher.example"),
        (DNS, "a" * 64 + ".svc"),
        (DNS, "a." * 130 + "svc"),
    ],
)
def test_what_is_no_name_is_neither_a_name_nor_a_pattern(kind: NameKind, text: str) -> None:
    assert CertificateName.of(kind, text) is None
    with pytest.raises(ValueError, match=r"is not a "):
        NamePattern.read(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"), [(SPIFFE, "spiffe://*/a"), (DNS, "*"), (DNS, "desk.*"), (DNS, "*.*")]
)
def test_a_pattern_names_the_domain_that_it_trusts(kind: NameKind, text: str) -> None:
    with pytest.raises(ValueError, match=r"name the domain that is trusted$"):
        NamePattern.read(kind, text)


def test_a_wildcard_in_a_certificate_is_the_name_of_no_caller() -> None:
    assert CertificateName.of(DNS, "*.voice.svc") is None
    assert CertificateName.of(SPIFFE, "spiffe://example.org/*") is None
