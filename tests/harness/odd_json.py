"""JSON as nobody should write it and somebody does: documents as text, drawn."""

import json

from hypothesis import strategies as st

# Numbers that some type cannot hold: doubles, 53, 63 and 64 bits, and what is no JSON at all.
numbers = st.one_of(
    st.sampled_from(
        [
            "1e400",
            "-1e999",
            "1e-400",
            "-0",
            "NaN",
            "Infinity",
            "-Infinity",
            "9" * 310,
            "1" * 5_000,
            str(2**53 + 1),
            str(2**63),
            str(2**64 - 1),
            str(2**64),
            str(-(2**63) - 1),
            "18446744073709551616.0",
        ]
    ),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)

# Texts: any, cut in the middle of an emoji, with NUL, long, with brackets and quotes.
strings = st.one_of(
    st.sampled_from(
        [
            r'"\ud83d"',
            r'"\udc00 \ud83d\ude00"',
            r'"a\u0000b"',
            r'"\\\"]}{["',
            json.dumps("x" * 600),
            '"\x01"',
            '"caf\u00e9 \U0001f600"',
        ]
    ),
    st.text(max_size=12).map(json.dumps),
    st.text(max_size=12).map(lambda text: json.dumps(text, ensure_ascii=False)),
)

# Deeper than each reader goes: messages of protobuf, Python's recursion, the fast reader.
deep = st.builds(
    lambda opening, closing, depth: opening * depth + "1" + closing * depth,
    st.just("["),
    st.just("]"),
    st.sampled_from([20, 45, 46, 47, 100, 1_025, 20_000]),
) | st.sampled_from([29, 30, 31, 32, 33, 100, 1_025, 20_000]).map(
    lambda depth: '{"a":' * depth + "1" + "}" * depth
)

names = st.one_of(
    st.sampled_from(
        [
            "conference_id",
            "call_control_id",
            "call_session_id",
            "creator_call_session_id",
            "connection_id",
            "queue",
            "queue_name",
            "client_state",
            "occurred_at",
            "recording_ended_at",
            "wait_time_secs",
            "reason",
        ]
    ).map(json.dumps),
    strings,
)


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}: {value}" for name, value in members) + "}"


values = st.recursive(
    st.one_of(st.sampled_from(["null", "true", "false", '""']), numbers, strings, deep),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(names, inner), max_size=4).map(_object),
    ),
    max_leaves=8,
)

# An object; a name may stand in it twice.
objects = st.lists(st.tuples(names, values), max_size=6).map(_object)


def surrogates_apart(text: str) -> bytes:
    """Return a document as bytes: half of a surrogate pair as the bytes that some writers make."""
    return text.encode("utf-8", "surrogatepass")
