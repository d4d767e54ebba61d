"""Error bodies: what the provider says in words and codes about a request that it refused.

The provider's contract has one form: `{"errors": [{"code", "title", "detail", "source", "meta"}]}`.
Its web framework, its proxies and its older services write others; whatever names a field or says
something in words is read from all of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from gateway.codec.lenient_json import parse
from gateway.telnyx.secrets import scrubbed

# The most entries that are looked at: more than any request has fields.
_ENTRIES_MAX = 1_000

# The most values that are looked at for them: of a body of nothing but `{}` none is an entry.
_VALUES_MAX = 4 * _ENTRIES_MAX

# How deep errors stand in one another at most, such as lists of words in a mapping in a list.
_DEPTH_MAX = 4

# The provider's code for a key that it rejects.
KEY_REJECTED = "10009"

# What an entry has beside other things; a mapping without any of it is one of fields to words.
_ENTRY_NAMES = frozenset({"code", "title", "detail", "message", "source", "meta", "pointer"})

# The names of the field that an entry is about, where no `source` has it.
_PLACE_NAMES = ("pointer", "parameter", "field")

# The parts of an HTTP request, with which a path begins that is written as a list of its names.
_PARTS = frozenset({"body", "query", "path"})


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One entry of a provider's error body; fields are empty where it says nothing."""

    code: str = ""
    title: str = ""
    detail: str = ""
    # The place in the request that the entry is about, in any of the provider's spellings.
    pointer: str = ""
    # The header of the request that the entry is about.
    header: str = ""
    help_url: str = ""

    @property
    def text(self) -> str:
        """The provider's words, without keys."""
        if self.code == KEY_REJECTED:
            # The words name the key, by an id of any form: for the gateway's log only.
            return "the API key was rejected"
        return scrubbed(self.detail or self.title)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error body, as far as it can be read."""

    errors: tuple[ProviderError, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> "ErrorBody":
        """Read a body of any kind; one that says nothing has no errors."""
        try:
            document = parse(body)
        except ValueError:
            return cls()
        found = cls.of(document)
        if found.errors or not isinstance(document, dict):
            return found
        # No more than words about the whole, as frameworks and proxies write them.
        alone = {name: document[name] for name in _ENTRY_NAMES & document.keys()}
        return cls(tuple(islice(_entries([alone]), _ENTRIES_MAX)))

    @classmethod
    def of(cls, document: Any) -> "ErrorBody":
        """Read the errors that a JSON document of any kind holds as such."""
        if not isinstance(document, dict):
            return cls()
        for name in ("errors", "error"):
            errors = tuple(islice(_entries(document.get(name)), _ENTRIES_MAX))
            if errors:
                return cls(errors)
        return cls()


def _entries(
    value: Any, depth: int = _DEPTH_MAX, values: Iterator[int] | None = None
) -> Iterator[ProviderError]:
    """Read what stands for the errors: a list or a single one, in the form of an entry or words.

    The provider's web framework writes a single object for what it refuses before the application
    sees it (405, 406).
    """
    values = iter(range(_VALUES_MAX)) if values is None else values
    if not depth or next(values, None) is None:
        return
    if isinstance(value, dict) and not value.keys() & _ENTRY_NAMES:
        for field, said in value.items():
            for error in _entries(said, depth - 1, values):
                yield error if error.pointer else replace(error, pointer=field)
        return
    for entry in value if isinstance(value, list) else [value]:
        if next(values, None) is None:
            return
        if isinstance(entry, dict):
            if entry.keys() & _ENTRY_NAMES:
                yield from _entry(entry)
            elif not isinstance(value, dict):
                yield from _entries(entry, depth - 1, values)
        elif isinstance(entry, str) and entry:
            yield ProviderError(detail=entry)


def _entry(entry: dict[str, Any]) -> Iterator[ProviderError]:
    """Read an entry, once for each place that it is about."""
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    error = ProviderError(
        code=_text(entry.get("code")),
        title=_text(entry.get("title")),
        detail=_text(entry.get("detail")) or _text(entry.get("message")),
        help_url=_text(meta.get("url")),
    )
    source = entry.get("source")
    places = [
        (pointer, _text(one.get("header")) if isinstance(one, dict) else "")
        for one in (source if isinstance(source, list) else [source])
        for pointer in _pointers(one)
    ]
    if not any(pointer or header for pointer, header in places):
        places = [(pointer, "") for pointer in _pointers(entry)]
    if not any(pointer or header for pointer, header in places):
        places = [(pointer, "") for pointer in _pointers(meta)]
    for pointer, header in places or [("", "")]:
        # Nothing but separators means the whole request: without words that says nothing.
        whole = pointer and not re.search(r"\w", pointer)
        at = "" if whole and not error.text else pointer
        found = replace(error, pointer=at, header=header)
        if found != ProviderError():
            yield found


def _pointers(place: Any) -> list[str]:
    """Return the pointers of what says where a fault is, one empty text if it has none."""
    if not isinstance(place, dict):
        return [_text(place)]
    for name in _PLACE_NAMES:
        value = place.get(name)
        if isinstance(value, list):
            texts = [text for text in map(_text, value) if text]
            if texts and (texts[0] in _PARTS or any(it.isdecimal() for it in texts)):
                return ["/" + "/".join(texts)]
            if texts:
                return texts
        elif text := _text(value):
            return [text]
    return [""]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(it for it in value if isinstance(it, str))
    return str(value) if isinstance(value, (str, int, float)) else ""
