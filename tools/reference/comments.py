"""The comments of a proto file, by what they stand before."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

# Numbers of fields in descriptor.proto, of which a path in the source info consists.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, NESTED_MESSAGE, NESTED_ENUM = 2, 3, 4
VALUE = METHOD = 2

# What Markdown would take for its own outside of `code`. A single `_` inside of a word is none.
_SPECIAL = re.compile(r"([*<>|\[\]])")


@dataclass(frozen=True, slots=True)
class Comments:
    """Looks up the comment before a declaration."""

    by_path: dict[tuple[int, ...], str]

    @classmethod
    def of(cls, file: FileDescriptorProto) -> "Comments":
        """Take the comments out of a file, which must have been compiled with its source info."""
        found = {
            tuple(it.path): it.leading_comments
            for it in file.source_code_info.location
            if it.leading_comments
        }
        return cls(found)

    def paragraphs(self, path: Sequence[int]) -> list[str]:
        """Return the paragraphs of a comment as Markdown, a line each."""
        text = self.by_path.get(tuple(path), "")
        return [_escaped(" ".join(it.split())) for it in re.split(r"\n\s*\n", text) if it.strip()]

    def line(self, path: Sequence[int]) -> str:
        """Return a comment on one line, for a cell of a table."""
        return " ".join(self.paragraphs(path))


def _escaped(text: str) -> str:
    """Escape what is not code; in code, only what would end a cell."""
    parts: list[Any] = text.split("`")
    outside = [_SPECIAL.sub(r"\\\1", it) for it in parts[::2]]
    inside = [it.replace("|", r"\|") for it in parts[1::2]]
    parts[::2], parts[1::2] = outside, inside
    return "`".join(parts)
