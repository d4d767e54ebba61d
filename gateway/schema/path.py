"""Paths of REST operations, and the ids that may stand in them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

# What RFC 3986 (section 3.3) lets stand unescaped in a path segment; the same as the official SDK.
_SEGMENT_SAFE = "!$&'()*+,;=:@"

# What most ids are: the same escaped as not. Looked at first because it is quick.
_PLAIN = re.compile(r"[A-Za-z0-9_:~-][A-Za-z0-9_.:~-]{0,254}")

# The longest id, in bytes as they stand in the path: two of them and all that is around them fit
# into the longest URL that can be sent (`URL_BYTES_MAX`).
ID_BYTES_MAX = 16 * 1024

# The longest path with its query, in bytes. The HTTP library (hyper) writes no URL of more than
# 65,534; the rest is room for the provider's address in front. What is shorter is sent, whatever
# common servers say to it (8 to 16 KiB): that is the provider's to judge.
URL_BYTES_MAX = 65_000

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


def no_segment(value: str) -> str | None:
    """Say why a text cannot be an id in a path, or return None if it can.

    Any text is one segment once it is escaped, slashes and other scripts included, except for dot
    segments, which clients and proxies resolve (RFC 3986, section 5.2.4) and which cannot be
    escaped because dots are unreserved, and NUL, which common servers refuse in any form.
    """
    if _PLAIN.fullmatch(value):
        return None
    if value in (".", ".."):
        return "must not be a dot segment: it would name another path"
    if "\0" in value:
        return "must not contain NUL, which a URL cannot have"
    if len(value) > ID_BYTES_MAX or len(_escaped(value)) > ID_BYTES_MAX:
        return f"must not take more than {ID_BYTES_MAX} bytes in the URL, escapes included"
    return None


def _escaped(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else quote(value, _SEGMENT_SAFE)
