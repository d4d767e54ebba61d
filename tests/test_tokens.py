"""Tokens: texts that are told apart from anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import seal, unseal


@given(st.binary(min_size=1, max_size=1), st.binary(max_size=40))
def test_a_token_is_read_back(kind: bytes, payload: bytes) -> None:
    assert unseal(kind, seal(kind, payload)) == payload


@given(st.binary(max_size=40), st.data())
def test_a_changed_token_is_refused(payload: bytes, data: st.DataObject) -> None:
    token = seal(b"c", payload)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = token[:place] + other + token[place + 1 :]

    if changed != token:
        with pytest.raises(ValueError, match="not a token"):
            unseal(b"c", changed)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        unseal(b"c", text)


def test_a_token_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not of this kind"):
        unseal(b"p", seal(b"c", b"payload"))
