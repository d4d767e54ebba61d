"""JSON as text: taken apart at its brackets and commas, without reading what stands in between.

So that one part that nobody can read is no reason to lose the others, and so that parts can be
handed on exactly as they came. Nothing here recurses, however deep a document is nested.
"""

import json
import re
from collections.abc import Iterator

# A string, or one of the characters that structure a document. Possessive, so that a string
# without an end costs one look to the end of the text and no more.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_MEMBER = re.compile(r'\s*("(?:[^"\\]++|\\.)*+")\s*:', re.DOTALL)

_CLOSING = {"[": "]", "{": "}"}

# What decoding makes of a byte that is not UTF-8 (PEP 383).
_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")


def decoded(raw: bytes) -> tuple[str, bool]:
    r"""Return the text of a document in UTF-8 (or UTF-16 or UTF-32), without byte order mark.

    A byte that is not UTF-8 becomes an escaped backslash and its number, so that a text with it
    has `\xff` in its place; in other encodings, U+FFFD. The second value tells whether there are
    none.
    """
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding), True
    except UnicodeDecodeError:
        pass
    if encoding.startswith("utf-8"):
        return _FOREIGN_BYTE.sub(_escape, raw.decode(encoding, "surrogateescape")), False
    return raw.decode(encoding, "replace"), False


def elements(text: str) -> list[str]:
    """Return the elements of an array, as they stand in it.

    Raises ValueError if the text is no array, or is truncated.
    """
    return list(_parts(text, "["))


def members(text: str) -> dict[str, str]:
    """Return the members of an object, each value as it stands there; of one name, the last.

    Raises ValueError if the text is no object, or is truncated.
    """
    found: dict[str, str] = {}
    for part in _parts(text, "{"):
        match = _MEMBER.match(part)
        if match is None:
            raise ValueError("a member of an object has no name")
        found[json.loads(match[1], strict=False)] = part[match.end() :].strip()
    return found


def cut_below(text: str, depth_max: int) -> str:
    """Return the text with `null` for everything that is nested deeper than `depth_max`."""
    if text.count("[") + text.count("{") <= depth_max:
        return text
    kept: list[str] = []
    depth = start = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in _CLOSING:
            if depth == depth_max:
                kept.append(text[start : match.start()])
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth == depth_max:
                kept.append("null")
                start = match.end()
    # What never closes is no JSON either way.
    return "".join((*kept, text[start:])) if depth <= depth_max else text[:start]


def _escape(byte: re.Match[str]) -> str:
    return rf"\\x{ord(byte[0]) & 0xFF:02x}"


def _parts(text: str, opening: str) -> Iterator[str]:
    text = text.strip()
    if not text.startswith(opening):
        raise ValueError(f"does not start with {opening}")
    depth, start = 0, 1
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in _CLOSING:
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth == 0:
                if match.end() != len(text) or mark != _CLOSING[opening]:
                    raise ValueError("has text after its end")
                if last := text[start : match.start()].strip():
                    yield last
                return
        elif mark == "," and depth == 1:
            yield text[start : match.start()].strip()
            start = match.end()
    raise ValueError("is truncated")
