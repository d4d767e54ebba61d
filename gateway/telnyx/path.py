"""Paths of REST operations, and the ids that may stand in them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

# What RFC 3986 (section 3.3) lets stand unescaped in a path segment; the same as the official SDK.
_SEGMENT_SAFE = "!$&'()*+,;=:@"

# An id is one path segment whatever is done to the URL on its way: dot segments are resolved by
# clients and proxies (RFC 3986, section 5.2.4), an escaped slash or backslash is unescaped by many,
# and control or non-ASCII characters do not occur in the provider's ids.
_UNSAFE = re.compile(r"[^\x20-\x7e]|[/\\]")

# What most ids are: safe, and the same escaped as not. Looked at first because it is quick.
_PLAIN = re.compile(r"[A-Za-z0-9_:~-][A-Za-z0-9_.:~-]{0,254}")

# Longer than any id of the provider and shorter than the URL limits of common servers (8 KiB).
ID_LENGTH_MAX = 1_024

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class PathError(ValueError):
    """A path template that cannot be compiled; the text says why."""


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path such as `/queues/{queue_name}`, compiled."""

    template: str
    fields: tuple[str, ...]
    _render: Callable[..., str]

    @classmethod
    def compile(cls, template: str) -> "PathTemplate":
        """Compile a template. Raises PathError for anything but plain `{field}` placeholders."""
        fields = tuple(_PLACEHOLDER.findall(template))
        fixed = _PLACEHOLDER.sub("", template)
        if not template.startswith("/"):
            raise PathError(f"the path {template!r} does not begin with a slash")
        if "{" in fixed or "}" in fixed or "*" in fixed:
            raise PathError(f"the path {template!r} has more than plain {{field}} placeholders")
        if len(set(fields)) != len(fields):
            raise PathError(f"the path {template!r} uses a field twice")
        return cls(template, fields, _PLACEHOLDER.sub("{}", template).format)

    def render(self, message: Any) -> str:
        """Return the path for a message whose ids have been found safe."""
        return self._render(*[_escaped(getattr(message, name)) for name in self.fields])


def unsafe_id(value: str) -> str | None:
    """Say why a text cannot be an id in a path, or return None if it can."""
    if _PLAIN.fullmatch(value):
        return None
    if value in (".", ".."):
        return "must not be a dot segment: it would name another path"
    if len(value) > ID_LENGTH_MAX:
        return f"must not be longer than {ID_LENGTH_MAX} characters"
    if _UNSAFE.search(value):
        return "must be printable ASCII without slash and backslash: it is one segment of a path"
    return None


def _escaped(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else quote(value, _SEGMENT_SAFE)
