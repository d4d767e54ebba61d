"""What is collected of one response: so many bytes and pieces, of a budget that is shared."""

import pytest

from gateway.bytebudget import ByteBudget
from gateway.upstream.transport import RESPONSE_BYTES_MAX, OversizeError
from gateway.upstream.transports.intake import PARTS_MAX, UNCOUNTED_BYTES, Intake


def test_a_body_has_so_many_pieces_however_small_they_are() -> None:
    intake = Intake(ByteBudget())
    for _ in range(PARTS_MAX):
        intake.add(b"x")

    with pytest.raises(OversizeError, match="pieces"):
        intake.add(b"x")

    assert len(intake.body) == PARTS_MAX


def test_a_body_has_so_many_bytes_and_gives_back_what_it_took() -> None:
    budget = ByteBudget()
    intake = Intake(budget)
    intake.add(bytes(UNCOUNTED_BYTES))
    assert budget.held == 0
    intake.add(bytes(RESPONSE_BYTES_MAX - UNCOUNTED_BYTES))
    assert budget.held == RESPONSE_BYTES_MAX - UNCOUNTED_BYTES

    with pytest.raises(OversizeError, match="larger than"):
        intake.add(b"x")
    intake.close()

    assert budget.held == 0
