"""Descriptors in a pool of their own, as another program has them or changed by a test."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from conferencing.v1 import event_pb2, rest_pb2


def pool_of_files(
    files: Iterable[Any], change: Callable[[Any], None] = lambda file: None
) -> DescriptorPool:
    """Return a pool with copies of these files and of all that they import.

    `change` is given each as a FileDescriptorProto before it is added.
    """
    pool = DescriptorPool()
    known: set[str] = set()

    def add(file: Any) -> None:
        for dependency in file.dependencies:
            add(dependency)
        if file.name not in known:
            known.add(file.name)
            copied = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)
            change(copied)
            pool.AddSerializedFile(copied.SerializeToString())

    for file in files:
        add(file)
    return pool


def event_with(name: str, declared: str = "") -> Descriptor:
    """Return a copy of Event that has one more payload, with this option rest_name."""

    def change(file: Any) -> None:
        for message in file.message_type:
            if message.name == "Event":
                (first,) = [it for it in message.field if it.name == "call_enqueued"]
                field = message.field.add()
                field.CopyFrom(first)
                field.name, field.json_name, field.number = name, "added", 777
                if declared:
                    field.options.Extensions[rest_pb2.rest_name] = declared

    pool = pool_of_files([event_pb2.DESCRIPTOR], change)
    found: Descriptor = pool.FindMessageTypeByName("conferencing.v1.Event")
    return found
