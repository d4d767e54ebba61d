"""Each fuzzer for a moment: its good inputs, what was kept, and what is drawn near these.

`make fuzz` has them run for long, led by what code an input reaches.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target


@st.composite
def changed(draw: st.DrawFn, inputs: tuple[bytes, ...]) -> bytes:
    """An input with a few pieces replaced, left out, said twice or taken from another one."""
    data = draw(st.sampled_from(inputs))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 8)))
        other = draw(st.sampled_from(inputs))
        at = draw(st.integers(0, len(other)))
        piece = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    (b"", data[begin:end] * 2, other[at : at + 16], b'"', b"\xff", b"\0")
                ),
            )
        )
        data = data[:begin] + piece + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS, ids=lambda it: it.name)
def test_what_must_hold_holds_for_good_inputs_and_for_those_that_were_kept(target: Target) -> None:
    assert target.seeds
    for data in (*target.seeds, *target.kept):
        target.run(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda it: it.name)
def test_what_must_hold_holds_for_inputs_near_these_and_for_any(target: Target) -> None:
    inputs = (*target.seeds, *target.kept)

    @settings(max_examples=150)
    @given(st.one_of(changed(inputs), st.binary(max_size=64)))
    def holds(data: bytes) -> None:
        target.run(data)

    holds()
