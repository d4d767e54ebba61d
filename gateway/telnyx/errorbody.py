"""Error bodies: what the provider says in words and codes about a request that it refused."""

from dataclasses import dataclass
from typing import Any

from gateway.codec.lenient_json import parse
from gateway.telnyx.secrets import scrubbed

# The most entries that are looked at: more than any request has fields.
_ENTRIES_MAX = 1_000


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
        return scrubbed(self.detail or self.title)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error body, as far as it can be read."""

    errors: tuple[ProviderError, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> "ErrorBody":
        """Read a body of any kind; one that is not in the provider's form has no errors."""
        try:
            return cls.of(parse(body))
        except ValueError:
            return cls()

    @classmethod
    def of(cls, document: Any) -> "ErrorBody":
        """Read a JSON document of any kind.

        `errors` is a list by the provider's contract. Its web framework writes a single object
        for what it refuses before the application sees it (405, 406).
        """
        entries = document.get("errors") if isinstance(document, dict) else None
        if isinstance(entries, dict):
            entries = [entries]
        if not isinstance(entries, list):
            return cls()
        return cls(
            tuple(_entry(entry) for entry in entries[:_ENTRIES_MAX] if isinstance(entry, dict))
        )


def _entry(entry: dict[str, Any]) -> ProviderError:
    source, meta = entry.get("source"), entry.get("meta")
    place = source if isinstance(source, dict) else {"pointer": source}
    return ProviderError(
        code=_text(entry.get("code")),
        title=_text(entry.get("title")),
        detail=_text(entry.get("detail")),
        pointer=_text(place.get("pointer")) or _text(place.get("parameter")),
        header=_text(place.get("header")),
        help_url=_text(meta.get("url")) if isinstance(meta, dict) else "",
    )


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int, float)) else ""
