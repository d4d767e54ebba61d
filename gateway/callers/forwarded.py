r"""Client certificates that a proxy forwards: Envoy's header `x-forwarded-client-cert`.

    By=spiffe://example.org/envoy;Hash=abc;Subject="CN=\"a, b\"";URI=spiffe://example.org/a;DNS=a.svc

The grammar is that of Envoy's documentation ("HTTP header manipulation"): elements by comma, pairs
by semicolon, keys of any case, values in quotes if they need it. Each element is what one proxy
says of its client, and the last one is what the nearest proxy says.
"""

import re
from functools import lru_cache

from gateway.callers.patterns import CertificateName, names_in

HEADER = "x-forwarded-client-cert"

# A backslash stands before a quote that is part of the value; subjects (RFC 2253) have it before
# others, too, itself among them. So what follows one never ends the value.
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PLAIN = r'([^",;]*)'
_PAIR = re.compile(rf"\s*([A-Za-z]+)=(?:{_QUOTED}|{_PLAIN})\s*(,|;|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class ForwardedFormatError(ValueError):
    """A header that does not follow the grammar; the text says where, and shows nothing of it."""


# Of each client that a trusted proxy forwards, the header is always the same.
@lru_cache(4_096)
def forwarded_names(text: str) -> tuple[CertificateName, ...]:
    """Return the names in the certificate that the nearest proxy forwards.

    Elements before the last one are the word of others, and do not count. Raises
    ForwardedFormatError if any element cannot be read: where the last one begins is not sure then.
    """
    pairs = _last_element(text)
    return names_in(
        [value for key, value in pairs if key == "uri" and value],
        [value for key, value in pairs if key == "dns" and value],
    )


def _last_element(text: str) -> list[tuple[str, str]]:
    """Return the pairs of the last element, with keys in lower case."""
    pairs: list[tuple[str, str]] = []
    at, follows = 0, ","
    while follows:
        found = _PAIR.match(text, at)
        if found is None:
            raise ForwardedFormatError(f"is malformed at character {at + 1}")
        if follows == ",":
            pairs = []
        key, quoted, plain, follows = found.groups()
        value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        pairs.append((key.lower(), value))
        at = found.end()
    return pairs
