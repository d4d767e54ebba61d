"""The types of fields, each with a link to where it is explained."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_REFERENCE = "reference/"


@dataclass(frozen=True, slots=True)
class Types:
    """Knows the page of each type."""

    page_of: dict[str, str]

    @classmethod
    def of(
        cls, files: Sequence[FileDescriptorProto], page: Callable[[FileDescriptorProto], str]
    ) -> "Types":
        """Take the types of these files, each of which has a page within `docs/`."""
        return cls(
            {name: page(file).removeprefix(_REFERENCE) for file in files for name in _names(file)}
        )

    def link(self, full_name: str) -> str:
        """Return a type's short name, with a link if it has a page."""
        name = full_name.removeprefix(".")
        page = self.page_of.get(name)
        short = name if page is None else name.split(".", 2)[2]
        # As forges name headings.
        anchor = re.sub(r"[^\w-]", "", short.lower())
        return f"`{short}`" if page is None else f"[{short}]({page}#{anchor})"

    def of_field(self, field: FieldDescriptorProto, message: DescriptorProto) -> str:
        """Return the type of a field, and how often or whether it has one."""
        name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        if entry := _map_entry(field, message):
            key, value = (self.of_field(it, entry) for it in entry.field)
            return f"map of {key} to {value}"
        kind = self.link(field.type_name) if field.type_name else f"`{name}`"
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"repeated {kind}"
        return f"optional {kind}" if field.proto3_optional else kind


def _map_entry(field: FieldDescriptorProto, message: DescriptorProto) -> DescriptorProto | None:
    last = field.type_name.rpartition(".")[2]
    entries = (it for it in message.nested_type if it.options.map_entry)
    return next((it for it in entries if it.name == last), None)


def _names(file: FileDescriptorProto) -> Iterator[str]:
    for message in file.message_type:
        yield from _of_message(message, file.package)
    for enum in file.enum_type:
        yield f"{file.package}.{enum.name}"


def _of_message(message: DescriptorProto, outer: str) -> Iterator[str]:
    name = f"{outer}.{message.name}"
    yield name
    for nested in message.nested_type:
        yield from _of_message(nested, name)
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"
