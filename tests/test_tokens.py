"""Tokens: texts that are told apart from anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import Sealer, TokenError, TokenKind, TokenVersionError, seal, unseal

KINDS = st.builds(TokenKind, st.binary(min_size=1, max_size=1), st.integers(0, 255))
CURSOR = TokenKind(b"c", 1)


@given(KINDS, st.binary(max_size=40))
def test_a_token_is_read_back(kind: TokenKind, payload: bytes) -> None:
    assert unseal(kind, seal(kind, payload)) == payload


@given(KINDS, st.binary(max_size=20), st.binary(max_size=20))
def test_a_token_made_of_a_beginning_and_the_rest_is_the_same(
    kind: TokenKind, beginning: bytes, rest: bytes
) -> None:
    assert Sealer(kind, beginning).seal(rest).decode() == seal(kind, beginning + rest)


@given(st.binary(max_size=40), st.data())
def test_a_changed_token_is_refused(payload: bytes, data: st.DataObject) -> None:
    token = seal(CURSOR, payload)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = token[:place] + other + token[place + 1 :]

    if changed != token:
        with pytest.raises(TokenError, match="not a token"):
            unseal(CURSOR, changed)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(TokenError, match="not a token"):
        unseal(CURSOR, text)


def test_a_token_of_another_kind_is_refused() -> None:
    with pytest.raises(TokenError, match="not of this kind"):
        unseal(TokenKind(b"p", 1), seal(CURSOR, b"payload"))


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_token_of_another_version_says_of_which(version: int) -> None:
    with pytest.raises(TokenVersionError, match=f"of version {version}, not of version 1") as told:
        unseal(CURSOR, seal(TokenKind(b"c", version), b"payload"))

    assert told.value.version == version
