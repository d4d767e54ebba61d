"""Details: what an error says beside its words, whichever room it comes from."""

from dataclasses import dataclass

# Any single text taken over from a caller or a provider.
TEXT_BYTES_MAX = 300


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of the request, by its proto path."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """What was looked for and not found."""

    type: str
    name: str


def shortened(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """Return a text cut at a character boundary so that it takes at most `bytes_max` bytes."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return encoded.decode("utf-8")
    return encoded[: bytes_max - 3].decode("utf-8", "ignore") + "..."
