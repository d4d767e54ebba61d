"""Random requests that the provider could accept: what is required is there, ids fit into paths."""

from typing import Any

from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from tests.conformance.choosing import Strategy, some_of
from tests.conformance.rpcs import (
    RPCS,
    F,
    Rpc,
    is_choice,
    is_number_or_word,
    is_required,
    is_timestamp,
)
from tests.harness.messages import texts, timestamps

# All that the gateway takes as one segment of a path: any text that is no dot segment and has no
# NUL. Made as one text and not by a pattern, which would draw every character for itself and take
# most of the time.
ids = st.text(
    st.characters(min_codepoint=0x01, exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda text: text not in (".", ".."))

# What is an id in some path is one wherever it stands.
IDS = {name for rpc in RPCS for name in rpc.path_fields}


def requests(rpc: Rpc, focus: str = "") -> Strategy:
    """Return requests for an RPC's first page, or for all there is if it has no pages.

    What stands in them is left to chance, except for the place in `focus`, which is always set.
    """
    return _messages(rpc.request, focus)


def _messages(descriptor: Any, focus: str) -> Strategy:
    always: dict[str, Strategy] = {}
    maybe: dict[str, Strategy] = {}
    for field in descriptor.fields:
        if field.name == "page_token" or is_choice(field.containing_oneof):
            continue
        inner = _below(focus, field)
        among = always if inner is not None or is_required(field) else maybe
        among[field.name] = ids if field.name in IDS else _field(field, inner or "")
    choices = [_one_of(oneof, focus) for oneof in descriptor.oneofs if is_choice(oneof)]
    message_class = GetMessageClass(descriptor)

    def build(parts: tuple[dict[str, Any], ...]) -> Any:
        return message_class(**{name: value for part in parts for name, value in part.items()})

    return st.tuples(some_of(always, maybe), *choices).map(build)


def _below(focus: str, field: Any) -> str | None:
    """Return what of the focus concerns the inside of a field, None if it is on another field."""
    rest = focus.removeprefix(field.name)
    return rest if focus.startswith(field.name) and rest[:1] in ("", ".", "=") else None


def _one_of(oneof: Any, focus: str) -> Strategy:
    def named(field: Any) -> Strategy:
        return _value(field, _below(focus, field) or "").map(lambda value: {field.name: value})

    in_focus = [field for field in oneof.fields if _below(focus, field) is not None]
    return st.sampled_from(in_focus or list(oneof.fields)).flatmap(named)


def _field(field: Any, focus: str) -> Strategy:
    if field.is_repeated:
        return st.lists(_value(field, ""), min_size=1, max_size=3)
    return _value(field, focus)


def _value(field: Any, focus: str) -> Strategy:
    match field.type:
        case F.TYPE_STRING if is_number_or_word(field):
            return st.integers(1, 100).map(str) | st.just("infinity")
        case F.TYPE_STRING if field.has_presence:
            return st.just("") | texts
        case F.TYPE_STRING:
            return texts
        case F.TYPE_BOOL:
            return st.just(focus == "=True") if focus else st.booleans()
        case F.TYPE_INT32 if field.name == "page_size":
            return st.integers(1, 250)  # larger ones are made 250 by the gateway
        case F.TYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
        case F.TYPE_DOUBLE:
            return st.floats(allow_nan=False, allow_infinity=False)
        case F.TYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values[1:]]
            return st.just(int(focus[1:])) if focus else st.sampled_from(numbers)
        case F.TYPE_MESSAGE if is_timestamp(field):
            return timestamps
        case F.TYPE_MESSAGE:
            return _messages(field.message_type, focus.removeprefix("."))
    raise AssertionError(f"no random values are known for {field.full_name}")
