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

from gateway.schema.lenient_json import parse
from gateway.upstream.secrets import scrubbed

# The most entries that are looked at: more than any request has fields.
_ENTRIES_MAX = 1_000

# The most values that are looked at for them: of a body of nothing but `{}` none is an entry.
_VALUES_MAX = 4 * _ENTRIES_MAX

# How deep errors stand in one another at most, such as lists of words in a mapping in a list.
_DEPTH_MAX = 6

# The provider's code for a key that it rejects.
KEY_REJECTED = "10009"

# What says in words what is wrong, the best first, and what does if nothing of that is there.
_WORDS = ("detail", "message", "msg", "error_description", "description", "issue", "reason")
_TITLES = ("title", "error", "type", "status", "name")

# What holds further errors: within an entry, and beside it at the top of a body.
_INSIDE = ("errors", "details", "detail", "violations", "fieldviolations", "invalid-params")

# What an entry has beside other things; a mapping without any of it is one of fields, or words.
_ENTRY_NAMES = frozenset({"code", "title", "source", "meta", "pointer", *_WORDS, *_INSIDE})

# The names of the field that an entry is about, where no `source` has it.
_POINTER_NAMES = ("pointer", "parameter", "param", "field", "propertypath", "loc")

# Those of them that are read as an entry's own words if they are words.
_MAY_BE_WORDS = frozenset({"detail", "details"})

# What is no text for people.
_KNOWN = frozenset({*_ENTRY_NAMES, *_TITLES, *_POINTER_NAMES, "location", "locationtype"})

# What says something of the whole and never of a field of such a name.
_WHOLE_NAMES = frozenset({"detail", "details", "error", "errors", "message", "msg", "title"})

# What is read of a body in which no `errors` are, only such as stand for the whole.
_AT_THE_TOP = (_ENTRY_NAMES | {"error"}) - {"errors"}

# The parts of an HTTP request, with which a path begins that is written as a list of its names.
_PARTS = frozenset({"body", "query", "path"})


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One entry of a provider's error body; fields are empty where it says nothing."""

    code: str = ""
    title: str = ""
    detail: str = ""
    # What in the request the entry is about, in any of the provider's spellings.
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
        if not isinstance(document, dict) or (found.errors and found.errors[0].pointer):
            return found
        if found.errors and not isinstance(document.get("error"), str):
            return found
        # Words about the whole, as frameworks and proxies write them, perhaps beside a mere title.
        alone = {name: value for name, value in document.items() if name.lower() in _AT_THE_TOP}
        if alone.keys() == {"error"}:
            return found
        whole = cls(tuple(islice(_entries([alone]), _ENTRIES_MAX)))
        return whole if whole.errors else found

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
    if isinstance(value, dict):
        yield from _mapping(value, depth, values)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, list) and next(values, None) is not None:
                continue  # no error has this form
            yield from _entries(entry, depth - isinstance(entry, dict), values)
    elif isinstance(value, str) and value:
        yield ProviderError(detail=value)


def _mapping(value: dict[str, Any], depth: int, values: Iterator[int]) -> Iterator[ProviderError]:
    """Read an entry, or a mapping of fields to what is wrong with them, or words."""
    if _is_of_fields(value):
        for field, said in value.items():
            for error in _entries(said, depth - 1, values):
                yield error if error.pointer else replace(error, pointer=field)
        return
    entry = {name.lower(): inner for name, inner in value.items()}
    if entry.keys() & _ENTRY_NAMES:
        yield from _entry(entry, depth, values)
        return
    if words := _said(value):
        yield ProviderError(detail=words)


def _is_of_fields(value: dict[str, Any]) -> bool:
    """Tell whether the names in a mapping are those of fields, and not of parts of an error.

    What is wrong with a field stands in a list, or in an entry of its own. A name that an entry may
    have is that of a field only where each has a list of words.
    """
    names = {name.lower() for name in value}
    if names & _ENTRY_NAMES:
        return not names <= _WHOLE_NAMES and all(_are_words(it) for it in value.values())
    return any(_is_about_a_field(it) for it in value.values())


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(it, str) for it in value)


def _is_about_a_field(value: Any) -> bool:
    if isinstance(value, dict):
        names = {name.lower() for name in value}
        return bool(names & _ENTRY_NAMES) or any(map(_are_words, value.values()))
    return isinstance(value, list)


def _entry(entry: dict[str, Any], depth: int, values: Iterator[int]) -> Iterator[ProviderError]:
    """Read an entry, once for each pointer that it has, and what is inside it."""
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    error = ProviderError(
        code=_text(entry.get("code")),
        title=_first({it: entry[it] for it in _TITLES if isinstance(entry.get(it), str)}, _TITLES),
        detail=_detail(entry),
        help_url=_text(meta.get("url")),
    )
    for pointer, header in _pointers_and_headers(entry, meta):
        # Nothing but separators means the whole request: without words that says nothing.
        whole = pointer and not re.search(r"\w", pointer)
        at = "" if whole and not error.text else pointer
        found = replace(error, pointer=at, header=header)
        if found != ProviderError():
            yield found
    for name in _INSIDE:
        inside = entry.get(name)
        if name in _MAY_BE_WORDS and (isinstance(inside, str) or _are_words(inside)):
            continue
        yield from _entries(
            _named_params(inside) if name == "invalid-params" else inside, depth - 1, values
        )


def _detail(entry: dict[str, Any]) -> str:
    words, more = _first(entry, _WORDS), entry.get("details")
    more = _said(more) if isinstance(more, str) or _are_words(more) else ""
    if words or more:
        return f"{words}: {more}" if words and more else words or more
    if isinstance(entry.get("title"), str):
        return ""
    # Words under names that are not documented.
    return _said(
        {
            name: value
            for name, value in islice(entry.items(), _ENTRIES_MAX)
            if isinstance(value, str) and name not in _KNOWN
        }
    )


def _named_params(value: Any) -> Any:
    """Return the parameters of RFC 7807's example with their names where an entry has them."""
    if not isinstance(value, list):
        return value
    return [{"field": it.get("name"), **it} if isinstance(it, dict) else it for it in value]


def _pointers_and_headers(entry: dict[str, Any], meta: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pointers and headers that an entry is about, one pair of empty texts if none."""
    source = entry.get("source")
    found = [
        (pointer, _text(one.get("header")) if isinstance(one, dict) else "")
        for one in (source if isinstance(source, list) else [source])
        for pointer in _pointers(one)
    ]
    for holder in (entry, meta):
        if not any(pointer or header for pointer, header in found):
            found = [(pointer, "") for pointer in _pointers(holder)]
    if found == [("", "")] and entry.get("locationtype") == "parameter":
        found = [(_text(entry.get("location")), "")]
    return found or [("", "")]


def _pointers(holder: Any) -> list[str]:
    """Return the pointers of what says where a fault is, one empty text if it has none."""
    if not isinstance(holder, dict):
        return [_text(holder)]
    for name in _POINTER_NAMES:
        value = holder.get(name)
        if isinstance(value, list):
            texts = [text for text in map(_text, value) if text]
            if texts and (texts[0] in _PARTS or any(it.isdecimal() for it in texts)):
                return ["/" + "/".join(texts)]
            if texts:
                return texts
        elif text := _text(value):
            return [text]
    return [""]


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(entry.get(name)))), "")


def _said(value: Any, depth: int = _DEPTH_MAX) -> str:
    """Return the words in a value that stands where words do, with the names in an object."""
    if not isinstance(value, dict):
        return _text(value)
    if not depth:
        return ""
    members = islice(value.items(), _ENTRIES_MAX)
    said = ((name, _said(inner, depth - 1)) for name, inner in members)
    return "; ".join(f"{name}: {text}" for name, text in said if text)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(it for it in value if isinstance(it, str))
    return str(value) if isinstance(value, (str, int, float)) else ""
