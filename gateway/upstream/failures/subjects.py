"""Subjects: what a sentence of the provider says is not there.

A text names a kind of thing as its subject ("Call v3:a not found", "no such queue"), or only
mentions it ("... in conference"). What is not plainly the subject is not guessed.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

# What the provider has, by the words that it uses for them.
KINDS = frozenset(
    {"call", "conference", "connection", "leg", "media", "participant", "queue", "recording"}
)

# "X was not found": what stands before it is the subject.
_AFTER_SUBJECT = (
    r"(?:\bnot|n['\u2019]t|\bcannot)\s+(?:be\s+|been\s+)?(?:found|located|known|here|exists?)\b"
    r"|\bno\s+longer\s+(?:exists?|here)\b"
    r"|\b(?:is|are|was|were)\s+unknown\b"
)
# "no such X": what stands behind it is the subject.
_BEFORE_SUBJECT = (
    r"\bno\s+such\b|\bunknown\b|\bno\b(?!\s+longer\b)"
    r"|(?:\bnot|n['\u2019]t|\bcannot|\bunable\s+to)\s+(?:find|locate)\b"
)
_SAYING = re.compile(f"(?P<after>{_AFTER_SUBJECT})|(?P<before>{_BEFORE_SUBJECT})", re.IGNORECASE)

_SENTENCE_END = re.compile(r"[.:;!?\n]+")

# What follows one of these is not the subject.
_PREPOSITIONS = frozenset(
    {"as", "at", "by", "for", "from", "in", "inside", "of", "on", "per", "to", "under", "via"}
    | {"which", "whose", "within"}
)
# Words that say nothing about the kind of the subject.
_EMPTY = frozenset(
    {"a", "an", "any", "or", "such", "that", "the", "there", "this", "with", "its", "your", "no"}
    | {"are", "be", "been", "can", "could", "did", "do", "does", "has", "have", "is", "was", "were"}
    | {"control", "id", "ids", "identifier", "name", "named", "names", "given", "specified"}
    | {"entity", "error", "item", "object", "page", "record", "resource", "resources", "url"}
    | {"found", "requested", "route", "sorry"}
)

# Values of the request stand in the text as marks: they may hold blanks, dots and colons.
_MARK = "\ue000{}\ue001"
_WORD = re.compile("[a-z][a-z_]*|[0-9]+|\ue000[0-9]+\ue001")
_QUOTED = re.compile(r'"[^"]*"|`[^`]*`')
_FIELD_NAME = re.compile(r"(\w+?)_(?:ids?|name)")


class SentenceSubject(NamedTuple):
    """What a text says is not there. Both are empty if it is not clear what that is."""

    kinds: frozenset[str]
    values: frozenset[str]


def subjects(text: str, values: Sequence[str]) -> list[SentenceSubject]:
    """Return the subjects of a text, those that say nothing ("resource not found") left out.

    `values` are what the request calls things. One of letters alone may be any word of a text, and
    does not count as a name.
    """
    marked = _marked(text, values)
    found = []
    for sentence in _SENTENCE_END.split(marked):
        for phrase in _phrases(sentence):
            subject = _subject(_words(phrase), values)
            if subject is not None:
                found.append(subject)
    return found


def kinds_in(text: str, values: Sequence[str]) -> frozenset[str]:
    """Return the kinds that a text mentions anywhere."""
    return frozenset(filter(None, map(_kind_of, _words(_marked(text, values)))))


def kind_of_field(name: str) -> str | None:
    """Return the kind of thing that a field such as `call_control_id` names, None if none."""
    match = _FIELD_NAME.fullmatch(name)
    if match is None:
        return None
    stem = match[1]
    if stem.endswith("call_control"):
        return "call"
    return "media" if stem.endswith("media") else stem


def _marked(text: str, values: Sequence[str]) -> str:
    text = text.replace("\ue000", "").replace("\ue001", "")
    # The longest first: one value may be a part of another.
    for index in sorted(range(len(values)), key=lambda it: -len(values[it])):
        value = values[index]
        if not re.fullmatch(r"[^\W\d]*", value):
            pattern = rf"(?<![\w\ue000])[\"'`]?{re.escape(value)}[\"'`]?(?![\w\ue001])"
            text = re.sub(pattern, _MARK.format(index), text)
    return _QUOTED.sub(" ", text)


def _phrases(sentence: str) -> Iterator[str]:
    begin = 0
    sayings = list(_SAYING.finditer(sentence))
    for saying, following in zip_longest(sayings, sayings[1:]):
        if saying["before"]:
            end = following.start() if following else len(sentence)
            yield sentence[saying.end() : end]
            begin = end
        else:
            yield sentence[begin : saying.start()]
            begin = saying.end()


def _subject(words: Sequence[str], values: Sequence[str]) -> SentenceSubject | None:
    """Return the subject that a phrase is, None if it says nothing."""
    kinds: set[str] = set()
    named: set[str] = set()
    other = False
    own = frozenset(word for value in values for word in _words(value))
    for word in words:
        kind = _kind_of(word)
        if word in _PREPOSITIONS:
            break
        if word[0] == "\ue000":
            named.add(values[int(word[1:-1])])
        elif kind:
            kinds.add(kind)
            other = False  # what stood before it was no more than its adjective
        elif word not in _EMPTY and not (kinds and word in own):
            other = True  # "conference region" is no conference
    if other or len(kinds) > 1 or len(named) > 1:
        return SentenceSubject(frozenset(), frozenset())
    return SentenceSubject(frozenset(kinds), frozenset(named)) if kinds or named else None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _kind_of(word: str) -> str | None:
    if word in KINDS:
        return word
    if word.removesuffix("s") in KINDS:
        return word.removesuffix("s")
    return kind_of_field(word)
