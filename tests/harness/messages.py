"""Random messages of any type, for property-based tests."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from gateway.schema.annotations import discriminator, is_number_or_word
from gateway.schema.descriptors import enum_type, message_type

F = FieldDescriptor

# Everything that JSON and protobuf both hold: no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)

# Ids as the provider makes them, with everything that must survive as one path segment.
ids = st.from_regex(r"[A-Za-z0-9_.:~!$&'()*+,;=@ %?#-]{1,40}", fullmatch=True).filter(
    lambda text: text not in (".", "..")
)

timestamps = st.builds(
    Timestamp,
    seconds=st.integers(-62_135_596_800, 253_402_300_799),
    nanos=st.integers(0, 999_999_999),
)


durations = st.builds(Duration, seconds=st.integers(0, 315_576_000_000))

_JSON = st.recursive(
    st.none() | st.booleans() | texts | st.integers(-(2**53), 2**53).map(float),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
structs = st.dictionaries(texts, _JSON, max_size=2).map(lambda it: ParseDict(it, Struct()))

_OF_PROTOBUF = {
    "google.protobuf.Timestamp": timestamps,
    "google.protobuf.Duration": durations,
    "google.protobuf.Struct": structs,
}


def messages(
    message_class: type[Message],
    *,
    ids_of: tuple[str, ...] = (),
    leave_out: frozenset[str] = frozenset(),
) -> st.SearchStrategy[Any]:
    """Return messages in which every field may be set; `ids_of` are always set, and to ids."""

    def build(values: dict[str, Any]) -> Message:
        return message_class(**{name: value for name, value in values.items() if value is not None})

    descriptor: Any = message_class.DESCRIPTOR
    chosen = {
        field.name: ids if field.name in ids_of else _maybe(field)
        for field in descriptor.fields
        if not _in_real_oneof(field) and field.name not in leave_out
    }
    for oneof in descriptor.oneofs:
        if _is_real(oneof):
            chosen[f"<{oneof.name}>"] = _one_of(oneof)

    def flatten(values: dict[str, Any]) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in values.items():
            if name.startswith("<"):
                flat |= value
            else:
                flat[name] = value
        return flat

    return st.fixed_dictionaries(chosen).map(flatten).map(build)


def _one_of(oneof: Any) -> st.SearchStrategy[dict[str, Any]]:
    def named(field: Any) -> st.SearchStrategy[dict[str, Any]]:
        return _value(field).map(lambda value: {field.name: value})

    return st.one_of(*map(named, oneof.fields))


def _is_real(oneof: Any) -> bool:
    # `optional` makes a oneof of its own for each field.
    return not (len(oneof.fields) == 1 and oneof.name == f"_{oneof.fields[0].name}")


def _in_real_oneof(field: Any) -> bool:
    return field.containing_oneof is not None and _is_real(field.containing_oneof)


def _maybe(field: Any) -> st.SearchStrategy[Any]:
    if field.is_repeated:
        return st.lists(_value(field), max_size=3)
    return st.none() | _value(field)


def _value(field: Any) -> st.SearchStrategy[Any]:
    match field.type:
        case F.TYPE_STRING if is_number_or_word(field):
            return st.integers(1, 100).map(str) | st.just("infinity")
        case F.TYPE_STRING:
            return texts
        case F.TYPE_BYTES:
            return st.binary(max_size=20)
        case F.TYPE_BOOL:
            return st.booleans()
        case F.TYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
        case F.TYPE_UINT32:
            return st.integers(0, 2**32 - 1)
        case F.TYPE_UINT64:
            return st.integers(0, 2**64 - 1)
        case F.TYPE_INT64:
            return st.integers(-(2**63), 2**63 - 1)
        case F.TYPE_DOUBLE:
            return st.floats(allow_nan=False, allow_infinity=False)
        case F.TYPE_ENUM:
            return st.sampled_from([value.number for value in enum_type(field).values[1:]])
        case F.TYPE_MESSAGE:
            return _message(message_type(field))
    raise AssertionError(field.full_name)


def _message(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    known = _OF_PROTOBUF.get(descriptor.full_name)
    return messages(GetMessageClass(descriptor)) if known is None else known


def has_discriminator(descriptor: Any) -> bool:
    return any(discriminator(oneof) for oneof in descriptor.oneofs)
