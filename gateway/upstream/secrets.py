"""Secrets in the provider's words: its errors name keys."""

import re

# The provider's API keys: `KEY`, the key's id in hexadecimal, an underscore, the secret. Its
# errors name the id alone, or what was sent.
_KEY = re.compile(r"\bKEY[0-9A-Za-z_-]{6,}")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s,;\"']+")


def scrubbed(text: str) -> str:
    """Return a text without the keys in it."""
    return _BEARER.sub(r"\1 ***", _KEY.sub("KEY***", text))
