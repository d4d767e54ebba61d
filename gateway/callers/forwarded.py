r"""Client certificates that a proxy forwards: Envoy's header `x-forwarded-client-cert`.

    By=spiffe://example.org/envoy;Hash=abc;Subject="CN=\"a, b\"";URI=spiffe://example.org/a;DNS=a.svc

The grammar is that of Envoy's documentation ("HTTP header manipulation"): elements by comma, pairs
by semicolon, keys of any case, values in quotes if they need it. Each element is what one proxy
says of its client, and the last one is what the nearest proxy says.

Envoy quotes no name, so a client whose CA signs any name has one that reads as several, or as an
element of its own. What it cannot shape is the certificate itself, which comes before all names and
is encoded as in a URL.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from gateway.callers.certificates import UnreadableCertificateError, names_in_pem
from gateway.callers.patterns import CertificateName, names_in

HEADER = "x-forwarded-client-cert"

# A backslash stands before a quote that is part of the value; subjects (RFC 2253) have it before
# others, too, itself among them. So what follows one never ends the value.
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PLAIN = r'([^",;]*)'
_PAIR = re.compile(rf"\s*([A-Za-z]+)=(?:{_QUOTED}|{_PLAIN})\s*(,|;|\Z)", re.DOTALL)
# What stands before all that a client has a say in: names of the proxy's own, and a digest.
_CERTIFICATE = re.compile(r'\s*(?:(?:By|Hash)=[^",;]*;)*Cert="([^"\\]*)"', re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class ForwardedFormatError(ValueError):
    """A header that does not follow the grammar; the text says where, and shows nothing of it."""


class Forwards(StrEnum):
    """What of a client's certificate a proxy forwards: all of it, or the names in it."""

    CERTIFICATE = "certificate"
    NAMES = "names"

    def names(self, text: str) -> tuple[CertificateName, ...]:
        """Return the names of the client. Raises ForwardedFormatError."""
        return certified_names(text) if self is Forwards.CERTIFICATE else forwarded_names(text)


# Of each client that a trusted proxy forwards, the header is always the same.
@lru_cache(1_024)
def certified_names(text: str) -> tuple[CertificateName, ...]:
    """Return the names in the one certificate that a proxy forwards whole.

    What follows it in the element counts for nothing. A second element is refused: it is what the
    client has written, here or in its own header. Raises ForwardedFormatError.
    """
    if any(follows == "," for *_, follows in _pairs(text)):
        raise ForwardedFormatError("has more than one element: the proxy must set it anew")
    found = _CERTIFICATE.match(text)
    if found is None:
        raise ForwardedFormatError("has no certificate before all names: the proxy must send Cert")
    try:
        return names_in_pem(unquote_to_bytes(found[1]))
    except UnreadableCertificateError:
        raise ForwardedFormatError("has a certificate that cannot be read") from None


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
    is_new = True
    for key, value, follows in _pairs(text):
        if is_new:
            pairs = []
        pairs.append((key, value))
        is_new = follows == ","
    return pairs


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield all pairs, keys in lower case, each with what follows it: `,`, `;` or nothing."""
    at, follows = 0, ","
    while follows:
        found = _PAIR.match(text, at)
        if found is None:
            raise ForwardedFormatError(f"is malformed at character {at + 1}")
        key, quoted, plain, follows = found.groups()
        value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        yield key.lower(), value, follows
        at = found.end()
