"""The pages: one for each proto file that clients use, and one that lists all RPCs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)

from tools.reference import comments
from tools.reference.comments import Comments
from tools.reference.types import Types

_PACKAGE = "conferencing.v1"

# What clients do not use: options that are for the gateway.
_OPTIONS = {"access", "effects", "keys", "rest"}

_NOTE = (
    "Made from [{proto}]({up}protos/{proto}) by `make reference`."
    " [The reference](reference.md) lists all RPCs."
)

# What may be done about a broken connection, by what the method declares.
_SAFETY = {
    MethodOptions.NO_SIDE_EFFECTS: "a query: it may be repeated",
    MethodOptions.IDEMPOTENT: "a command that may be repeated, with the same `command_id` if it has"
    " one",
    MethodOptions.IDEMPOTENCY_UNKNOWN: "a command of which a repetition would be noticed",
}


def pages(descriptors: FileDescriptorSet) -> dict[str, str]:
    """Return the text of each page by its name within `docs/`."""
    files = [it for it in descriptors.file if it.package == _PACKAGE and _stem(it) not in _OPTIONS]
    types = Types.of(files, _page)
    made = {_page(it): "\n".join(_of_file(it, types)) + "\n" for it in files}
    return {"reference.md": "\n".join(_overview(files)) + "\n", **made}


def _stem(file: FileDescriptorProto) -> str:
    return PurePosixPath(file.name).stem


def _page(file: FileDescriptorProto) -> str:
    return f"reference/{_stem(file)}.md"


def _overview(files: Sequence[FileDescriptorProto]) -> Iterator[str]:
    yield "# API reference\n"
    yield (
        "The services of `conferencing.v1`, made from `protos/` by `make reference`; a test"
        " compares both. [Errors](errors.md) has what RPCs fail with,"
        " [Compatibility](compatibility.md) what may change.\n"
    )
    for file in sorted(files, key=lambda it: not it.service):
        said = Comments.of(file)
        for number, service in enumerate(file.service):
            yield f"## {service.name}\n"
            yield from _texts(said.paragraphs((comments.SERVICE, number)))
            yield "| RPC | what it does |\n| --- | --- |"
            for at, method in enumerate(service.method):
                path = (comments.SERVICE, number, comments.METHOD, at)
                first = said.paragraphs(path)[0].partition(". ")[0].rstrip(".")
                yield f"| [{method.name}]({_page(file)}#{method.name.lower()}) | {first} |"
            yield ""
    yield "## Messages and enums\n"
    for file in files:
        what = "requests and responses of the service" if file.service else "shared types"
        yield f"* [{PurePosixPath(file.name).name}]({_page(file)}): {what}"


def _of_file(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    said = Comments.of(file)
    yield f"# {PurePosixPath(file.name).name}\n"
    # These pages are one folder deeper than the others.
    note = _NOTE.format(proto=file.name, up="../../").replace("(reference.md)", "(../reference.md)")
    yield f"{note}\n"
    for number, service in enumerate(file.service):
        yield f"## {service.name}\n"
        yield from _texts(said.paragraphs((comments.SERVICE, number)))
        for at, method in enumerate(service.method):
            yield from _of_method(
                method, (comments.SERVICE, number, comments.METHOD, at), said, types
            )
    if file.message_type:
        yield "## Messages\n"
    for number, message in enumerate(file.message_type):
        yield from _of_message(message, "", (comments.MESSAGE, number), said, types)
    if file.enum_type:
        yield "## Enums\n"
    for number, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, "", (comments.ENUM, number), said)


def _of_method(
    method: MethodDescriptorProto, path: tuple[int, ...], said: Comments, types: Types
) -> Iterator[str]:
    yield f"### {method.name}\n"
    stream = "a stream of " if method.server_streaming else ""
    request, response = types.link(method.input_type), types.link(method.output_type)
    yield f"Takes {request}, returns {stream}{response}.\n"
    yield from _texts(said.paragraphs(path))
    rule = method.options.Extensions[annotations_pb2.http]
    safety = _SAFETY[method.options.idempotency_level]
    if verb := rule.WhichOneof("pattern"):
        yield f"At the provider: `{verb.upper()} {getattr(rule, verb)}`; {safety}.\n"
    else:
        yield f"It is {safety}.\n"


def _of_message(
    message: DescriptorProto, outer: str, path: tuple[int, ...], said: Comments, types: Types
) -> Iterator[str]:
    name = f"{outer}{message.name}"
    yield f"### {name}\n"
    yield from _texts(said.paragraphs(path))
    if message.field:
        yield "| field | type | what it is |\n| --- | --- | --- |"
        for at, field in enumerate(message.field):
            text = said.line((*path, comments.FIELD, at))
            about = " ".join(filter(None, (text, *_remarks(field, message))))
            yield f"| `{field.name}` | {types.of_field(field, message)} | {about} |"
        yield ""
    else:
        yield "It has no fields.\n"
    for at, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            inner = (*path, comments.NESTED_MESSAGE, at)
            yield from _of_message(nested, f"{name}.", inner, said, types)
    for at, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, f"{name}.", (*path, comments.NESTED_ENUM, at), said)


def _remarks(field: FieldDescriptorProto, message: DescriptorProto) -> Iterator[str]:
    required = field_behavior_pb2.FieldBehavior.REQUIRED
    if required in field.options.Extensions[field_behavior_pb2.field_behavior]:
        yield "**Required.**"
    if field.HasField("oneof_index") and not field.proto3_optional:
        yield f"One of `{message.oneof_decl[field.oneof_index].name}`."
    if field.options.deprecated:
        yield "**Deprecated.**"


def _of_enum(
    enum: EnumDescriptorProto, outer: str, path: tuple[int, ...], said: Comments
) -> Iterator[str]:
    yield f"### {outer}{enum.name}\n"
    yield from _texts(said.paragraphs(path))
    yield "| value | number | what it is |\n| --- | --- | --- |"
    for at, value in enumerate(enum.value):
        text = said.line((*path, comments.VALUE, at))
        yield f"| `{value.name}` | {value.number} | {text} |".replace("|  |", "| |")
    yield ""


def _texts(paragraphs: Iterable[str]) -> Iterator[str]:
    for it in paragraphs:
        yield f"{it}\n"
