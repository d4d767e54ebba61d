"""Descriptors, with the types that their stubs leave open settled in one place."""

from collections.abc import Sequence
from typing import cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def fields_of(message_class: type[Message]) -> Sequence[FieldDescriptor]:
    """Return the fields of a message class."""
    return cast("Sequence[FieldDescriptor]", message_class.DESCRIPTOR.fields)


def message_type(field: FieldDescriptor) -> Descriptor:
    """Return the type of a message field."""
    assert field.message_type is not None, f"{field.full_name} is not a message"
    return field.message_type


def message_class_of(field: FieldDescriptor) -> type[Message]:
    """Return the class of a message field's values."""
    return GetMessageClass(message_type(field))


def enum_type(field: FieldDescriptor) -> EnumDescriptor:
    """Return the type of an enum field."""
    assert field.enum_type is not None, f"{field.full_name} is not an enum"
    return field.enum_type
