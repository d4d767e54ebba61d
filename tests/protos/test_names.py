"""Names in the protos: none that the generator of some language would have to change.

What generators make of names is compiled in tests/toolchains; that does not say which names they
had to change to make them compile.
"""

import importlib
import keyword
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

PROTOS = sorted((Path(__file__).parents[2] / "protos" / "conferencing" / "v1").glob("*.proto"))
FILES = [
    FileDescriptorProto.FromString(
        importlib.import_module(f"conferencing.v1.{it.stem}_pb2").DESCRIPTOR.serialized_pb
    )
    for it in PROTOS
]

# Words that a field cannot have as its name in some language: it gets an underscore (C++), `r#`
# (Rust), backticks (Kotlin, Swift), `_p` (Objective-C), or can be reached by getattr alone.
WORDS = """
    abstract alignas alignof alloc and_eq as asm associatedtype auto autorelease await become bitand
    bitor bool box break case catch char class compl concept const const_cast consteval constexpr
    constinit continue copy crate dealloc decltype default defer deinit delete description do double
    dyn dynamic_cast else enum explicit export extension extern fallthrough false fileprivate final
    finalize float fn for friend fun func gen goto guard hash id if impl implements import in init
    inline inout instanceof int interface internal is isa isEqual let long loop macro match mod move
    mut mutable mutableCopy namespace new nil noexcept not not_eq null nullptr object operator or
    or_eq override package priv private protected protocol pub public ref register
    reinterpret_cast release repeat requires retain retainCount return rethrows self short signed
    sizeof static static_assert static_cast struct subscript super switch template this
    thread_local throw throws trait true try type typealias typedef typeid typename typeof union
    unsafe unsigned unsized use using val var virtual void volatile wchar_t when where while xor
    xor_eq yield zone
"""
RESERVED = {*keyword.kwlist, *WORDS.split()}

# Where the provider's own word is worth more: `id_p` in Objective-C, `r#type` and `r#loop` in Rust.
KEPT = {"id", "type", "loop"}

# Names that a message or an enum cannot have in PHP (it gets `PB` before it), Swift or Rust.
RESERVED_TYPES = {
    *("Array", "Bool", "Class", "Closure", "Const", "Default", "Directory", "Empty", "Enum"),
    *("Exception", "False", "Final", "Float", "Function", "Generator", "Int", "Interface"),
    *("Iterable", "List", "Mixed", "Namespace", "Never", "Null", "Object", "Parent", "Print"),
    *("Private", "Protected", "Protocol", "Public", "Readonly", "Self", "Static", "String"),
    *("Switch", "Trait", "True", "Type", "Unset", "Use", "Var", "Void", "Exit", "Match"),
}

# What generated classes put before and behind the name of a field: getters, setters, lengths.
BEFORE = ("add", "clear", "get", "has", "init", "mutable", "release", "set", "which")
BEHIND = ("builder", "bytes", "case", "count", "field_number", "list", "map", "size", "value")


def all_messages() -> Iterator[Any]:
    for file in FILES:
        waiting = list(file.message_type)
        while waiting:
            message = waiting.pop()
            yield message
            waiting += message.nested_type


MESSAGES = list(all_messages())
ENUMS = [it for holder in (*FILES, *MESSAGES) for it in holder.enum_type]


def names_in(message: Any) -> set[str]:
    """Return the names of fields and oneofs, without those that stand for `optional`."""
    oneofs = {it.name for it in message.oneof_decl if not it.name.startswith("_")}
    return oneofs | {it.name for it in message.field}


def joined(name: str) -> str:
    """Return a name as languages have it that know no underscores."""
    return name.replace("_", "").lower()


def test_all_files_are_looked_at() -> None:
    assert len(FILES) >= 12
    assert {"Event", "SubscribeRequest"} <= {it.name for it in MESSAGES}


def test_no_field_has_a_word_of_some_language_as_its_name() -> None:
    spoiled = {name for it in MESSAGES for name in names_in(it) & RESERVED}

    assert spoiled == KEPT


def test_no_fields_accessors_are_those_of_another() -> None:
    for message in MESSAGES:
        names = names_in(message)
        taken = {f"{before}_{it}" for it in names for before in BEFORE}
        taken |= {f"{it}_{behind}" for it in names for behind in BEHIND}

        assert not names & taken, message.name
        assert len({joined(it) for it in names}) == len(names), message.name


def test_no_field_is_called_as_its_message() -> None:
    # C# has no member with the name of its class.
    same = [it.name for it in MESSAGES if it.name.lower() in {joined(f) for f in names_in(it)}]

    assert same == []


def test_no_member_of_a_oneof_is_called_as_what_stands_for_none() -> None:
    members = {f.name for it in MESSAGES for f in it.field if f.HasField("oneof_index")}

    assert not members & {"none", "not_set"}


def test_no_type_has_a_word_of_some_language_as_its_name() -> None:
    names = {it.name for it in (*MESSAGES, *ENUMS)}

    assert not names & RESERVED_TYPES
    # In Java, the class that holds a file's descriptor has a name of its own.
    assert not names & {it.options.java_outer_classname for it in FILES}


@pytest.mark.parametrize("enum", ENUMS, ids=lambda it: it.name)
def test_an_enums_values_are_names_without_its_own(enum: Any) -> None:
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    values = [it.name for it in enum.value]

    assert all(it.startswith(prefix) for it in values)
    short = [it.removeprefix(prefix) for it in values]
    assert short[0] == "UNSPECIFIED"
    # C#, Rust, Swift and TypeScript leave the prefix out: `8000` would become `_8000`.
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", it) for it in short)
    # And they join the words.
    assert len({joined(it) for it in short}) == len(short)
    # Java, Kotlin and Swift add this one to each enum.
    assert "UNRECOGNIZED" not in short
