"""Cursors: positions as texts that are told apart from everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.cursor import Cursor, CursorFormatError, Cursors
from gateway.tokens import TokenKind, seal

EPOCHS = st.binary(min_size=8, max_size=8)
SEQUENCES = st.integers(0, 2**64 - 1)


@given(EPOCHS, SEQUENCES)
def test_a_cursor_is_read_back(epoch: bytes, sequence: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, sequence))) == Cursor(epoch, sequence)


@given(EPOCHS, SEQUENCES)
def test_the_cursors_of_one_log_are_the_same_as_one_by_one(epoch: bytes, sequence: int) -> None:
    cursors = Cursors(epoch)

    assert cursors.text(sequence) == str(Cursor(epoch, sequence))
    assert cursors.encoded(sequence).decode() == cursors.text(sequence)


@given(st.text())
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(CursorFormatError, match="is not a cursor"):
        Cursor.parse(text)


@pytest.mark.parametrize("payload", [b"", bytes(15), bytes(17)])
def test_a_cursor_with_another_layout_is_none(payload: bytes) -> None:
    with pytest.raises(CursorFormatError, match="is not a cursor"):
        Cursor.parse(seal(TokenKind(b"c", 1), payload))


@pytest.mark.parametrize("payload", [bytes(16), b"", b"whatever a later release needs"])
def test_a_cursor_of_another_version_says_so(payload: bytes) -> None:
    with pytest.raises(CursorFormatError, match="of version 2, and this gateway reads version 1"):
        Cursor.parse(seal(TokenKind(b"c", 2), payload))
