"""W3C Trace Context, level 2: what is taken of headers, and what goes on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tracecontext import (
    STATE_MAX,
    Span,
    TraceContext,
    new_span_id,
    new_trace_id,
    parse,
    passed_on,
    received,
    state_of,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"

LEGAL = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")


def ids(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda it: f"{it:0{digits}x}")


CONTEXTS = st.builds(TraceContext, ids(32), ids(16), st.integers(0, 3), st.just(""))
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[ -+\--<>-~]{0,200}[!-+\--<>-~]", fullmatch=True)


@given(CONTEXTS)
def test_what_is_written_is_read_as_the_same(context: TraceContext) -> None:
    assert LEGAL.fullmatch(context.traceparent)
    assert parse(context.traceparent) == context


@given(CONTEXTS, st.integers(0, 255))
def test_of_flags_only_those_of_level_2_go_on(context: TraceContext, flags: int) -> None:
    read = parse(f"00-{context.trace_id}-{context.span_id}-{flags:02x}")

    assert read == context._replace(flags=flags & 0x03)


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-fA-F]{2}-[0-9a-fz]{32}-[0-9a]{16}-0.\n?"))
def test_whatever_comes_is_read_as_a_legal_context_or_not_at_all(text: str) -> None:
    context = parse(text)

    assert context is None or LEGAL.fullmatch(context.traceparent)


@given(CONTEXTS, st.integers(0, 54), st.characters(exclude_characters="0123456789abcdef-"))
def test_one_wrong_character_breaks_it(context: TraceContext, at: int, wrong: str) -> None:
    text = context.traceparent

    assert parse(text[:at] + wrong + text[at + 1 :]) is None
    assert parse(text[:at] + text[at + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-011",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"{PARENT}\n",
        f" {PARENT}",
        f"{PARENT},{PARENT}",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:31]}٣-{SPAN}-01",
    ],
)
def test_a_broken_one_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_later_version_is_read_as_far_as_ours_goes() -> None:
    wanted = TraceContext(TRACE, SPAN, 1)

    assert parse(f"cc-{TRACE}-{SPAN}-01") == wanted
    assert parse(f"cc-{TRACE}-{SPAN}-ff-what-the-future-brings") == wanted._replace(flags=3)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=8))
def test_members_of_a_state_go_on_whole_and_in_order(members: dict[str, str]) -> None:
    written = [f"{key}={value}" for key, value in members.items()]

    state = state_of(" ,\t".join(written))

    kept = state.split(",") if state else []
    assert len(state) <= STATE_MAX
    # Of those that fit there is none missing, and the long ones go first.
    assert kept == [it for it in written if it in kept]
    if len(",".join(written)) <= STATE_MAX:
        assert kept == written
    elif any(len(it) > 128 for it in kept):
        assert [it for it in written if len(it) <= 128] == [it for it in kept if len(it) <= 128]


def test_of_too_long_a_state_the_long_members_go_first_and_then_the_last() -> None:
    short = [f"k{number}={'v' * 97}" for number in range(6)]
    long = f"long={'v' * 124}"

    assert state_of(",".join([long, *short[:5]])) == ",".join(short[:5])
    assert state_of(",".join(short)) == ",".join(short[:5])


@given(st.text(max_size=600))
def test_whatever_comes_as_a_state_is_bounded_and_printable(text: str) -> None:
    state = state_of(text)

    assert len(state) <= STATE_MAX
    assert state.isascii()
    assert not state or state.isprintable()


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "a=",
        "=b",
        "A=b",
        "a=b=c",
        "a=b,a=c",
        "a=b\x00",
        "a=é",
        "a = b",
        f"{'k' * 257}=v",
        f"a={'v' * 257}",
        ",".join(f"k{number}=v" for number in range(33)),
    ],
)
def test_a_broken_state_is_left_out_and_the_parent_stays(state: str) -> None:
    found = received([("traceparent", PARENT), ("tracestate", state)])

    assert found == TraceContext(TRACE, SPAN, 1)


def test_several_headers_of_a_state_are_one_list() -> None:
    found = received(
        [
            ("tracestate", "a=1, b=2"),
            ("traceparent", PARENT),
            ("tracestate", ""),
            ("tracestate", "c=3"),
        ]
    )

    assert found == TraceContext(TRACE, SPAN, 1, "a=1,b=2,c=3")
    assert found.headers == {"traceparent": PARENT, "tracestate": "a=1,b=2,c=3"}


def test_two_parents_are_none_and_a_state_alone_is_nothing() -> None:
    assert received([("traceparent", PARENT), ("traceparent", PARENT)]) is None
    assert received([("tracestate", "a=1")]) is None
    assert received([("traceparent", b"\x00"), ("x", "y")]) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["traceparent", "tracestate", "other"]),
            st.just(PARENT) | st.text(max_size=60) | st.binary(max_size=60) | VALUES,
        ),
        max_size=5,
    )
)
def test_any_headers_give_a_legal_context_or_none(headers: list[tuple[str, str | bytes]]) -> None:
    context = received(headers)

    assert context is None or LEGAL.fullmatch(context.headers["traceparent"])
    parents = [value for name, value in headers if name == "traceparent"]
    assert (context is not None) == (len(parents) == 1 and parse(str(parents[0])) is not None)


def test_new_ids_are_legal_and_new() -> None:
    contexts = {TraceContext(new_trace_id(), new_span_id()) for _ in range(1_000)}

    assert len({it.trace_id for it in contexts}) == len({it.span_id for it in contexts}) == 1_000
    assert all(LEGAL.fullmatch(it.traceparent) for it in contexts)


def test_a_part_of_recorded_work_has_a_place_of_its_own() -> None:
    span = Span(TraceContext(TRACE, SPAN, 1, "a=1"), None, True)

    child = span.child()

    assert child == Span(span.context._replace(span_id=child.context.span_id), span.context, True)
    assert child.context.span_id != SPAN


def test_without_records_the_context_goes_on_as_it_came() -> None:
    context = TraceContext(TRACE, SPAN, 1, "a=1")

    span = passed_on(context, "any")

    assert span == Span(context)
    assert span.child() is span
    assert passed_on(None, "any") is None
