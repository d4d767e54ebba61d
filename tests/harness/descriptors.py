"""Descriptors in a pool of their own, as another program has them or changed by a test."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool


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
