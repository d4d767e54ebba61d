"""Scrubbing: the gateway's own secrets, taken out of everything that comes back from outside.

A provider, or a proxy before it, may echo what it was sent: in an error, a result, a list, a page,
a broken header. Whoever reads that is not meant to have the API key. So it is taken out where
everything comes in, before anybody reads it, in each form in which it may be written.
"""

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from gateway.aside import LARGE_BYTES, Aside
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
    UnansweredError,
)

# Shorter ones are not taken out: they stand for nothing (`sandbox`) and would be found in texts
# that have nothing to do with them.
SECRET_CHARACTERS_MIN = 8

_STARS = b"***"

# A character that is escaped: for JSON, a URL (once or several times), HTML.
_ESCAPE = re.compile(
    rb"\\+u00([0-9a-fA-F]{2})|%(?:25)*([0-9a-fA-F]{2})|&#[xX]0*([0-9a-fA-F]{2});"
    rb"|&#0*([0-9]{2,3});|\\+([\"/])"
)

# An escape in JSON with its backslash; caught are the digits of an ASCII character.
_PAIR = re.compile(rb"\\(?:u00([2-7][0-9a-fA-F])|.)", re.DOTALL)

_log = logging.getLogger(__name__)


class Scrubber:
    """Takes secrets out of texts: as they are, in base64 and hexadecimal, escaped for JSON or URLs.

    Secrets are ASCII.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {it for it in secrets if len(it) >= SECRET_CHARACTERS_MIN}
        # Longest first: one may be part of another.
        raw = sorted((it.encode() for it in known), key=len, reverse=True)
        self._forms = tuple({form: None for secret in raw for form in _forms(secret)})
        # Backslashes cannot be told from escapes. Real keys have none.
        self._is_odd = any(b"\\" in secret for secret in raw)
        self._escaped = re.compile(b"|".join(map(_escaped, self._forms)) or b"(?!)")

    def body(self, raw: bytes) -> bytes:
        """Return a body without the secrets in it; one without any as it is."""
        if b"\0" in raw[:4]:
            raw = _as_utf8(raw)
        raw = self._once(raw)
        if b"\\u00" in raw:
            # What is escaped in JSON may have been escaped for something else before.
            same = _PAIR.sub(_plainly, raw)
            scrubbed = self._once(same)
            if scrubbed != same:
                return scrubbed
        return raw

    def _once(self, raw: bytes) -> bytes:
        for form in self._forms:
            if form in raw:
                raw = raw.replace(form, _STARS)
        # One of these is in every text with an escaped character: JSON, URL, HTML.
        if (b"\\" in raw or b"%" in raw or b"&#" in raw) and self._may_be_escaped_in(raw):
            raw = self._escaped.sub(_STARS, raw)
        return raw

    def _may_be_escaped_in(self, raw: bytes) -> bool:
        # To look for each character in each form takes ten times as long as this.
        plain = _ESCAPE.sub(_unescaped, raw)
        return self._is_odd or any(form in plain for form in self._forms)

    def text(self, text: str) -> str:
        """Return a text without the secrets in it."""
        return self.body(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def response(self, response: HttpResponse) -> HttpResponse:
        """Return a response without the secrets in it."""
        body = self.body(response.body)
        headers = {name: self.text(value) for name, value in response.headers.items()}
        return HttpResponse(response.status, headers, body)


class ScrubbedTransport:
    """A transport that brings back none of the secrets, and fails with TransportError only."""

    def __init__(self, inner: Transport, scrubber: Scrubber, aside: Aside) -> None:
        self._inner = inner
        self._scrubber = scrubber
        self._aside = aside

    def use(self, scrubber: Scrubber) -> None:
        """Take out other secrets from now on."""
        self._scrubber = scrubber

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request; see `Transport.send`."""
        try:
            response = await self._inner.send(request, timeout)
        except TransportError as error:
            raise type(error)(self._scrubber.text(str(error))) from None
        except Exception:
            # A fault of the transport, which must not hide that the command may have run.
            said = self._scrubber.text(traceback.format_exc())
            _log.error("a request to the provider failed unexpectedly\n%s", said)
            raise UnansweredError("the response could not be received") from None
        if not 200 <= response.status < 300:
            return self._scrubber.response(response)
        # Nothing of a success's headers is ever shown.
        raw = response.body
        if len(raw) < LARGE_BYTES:
            body = self._scrubber.body(raw)
        else:
            body = await self._aside.run(self._scrubber.body, raw)
        return response if body is raw else response._replace(body=body)

    def end(self, request: HttpRequest) -> None:
        """See `Transport.end`."""
        self._inner.end(request)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._inner.close()


def secrets_of(api_key: str, proxy: str | None) -> list[str]:
    """Return what must not come back: the key, and the credentials for the proxy."""
    if proxy is None or "@" not in proxy:
        return [api_key]
    parts = urlsplit(proxy)
    user, password = (unquote(it or "") for it in (parts.username, parts.password))
    return [api_key, password, base64.b64encode(f"{user}:{password}".encode()).decode()]


def _unescaped(found: re.Match[bytes]) -> bytes:
    json_, url, html, decimal, itself = found.groups()
    if itself:
        return itself
    code = int(decimal) if decimal else int(json_ or url or html, 16)
    return bytes([code]) if code < 128 else found[0]


def _plainly(pair: re.Match[bytes]) -> bytes:
    """Return an escaped character as it is, where JSON means the same by it."""
    plain = bytes.fromhex(pair[1].decode()) if pair[1] else b""
    return pair[0] if plain in (b"", b'"', b"\\") else plain


def _forms(secret: bytes) -> Iterable[bytes]:
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        # Of base64, the characters that hold nothing of what stands before and behind it.
        coded = base64.b64encode(b"\0" * before + secret)
        inner = coded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _escaped(form: bytes) -> bytes:
    """Return a pattern of a text of which some characters are escaped in any of the usual ways."""
    parts = []
    for code in form:
        plain, digits = re.escape(bytes([code])), b"(?i:%02x)" % code
        forms = [plain, rb"\\+u00" + digits, b"%(?:25)*" + digits]
        forms += [b"&#0*%d;" % code, b"&#[xX]0*%b;" % digits]
        if code in b'"\\/':
            forms.append(rb"\\+" + plain)
        parts.append(b"(?:" + b"|".join(forms) + b")")
    return b"".join(parts)


def _as_utf8(raw: bytes) -> bytes:
    """Return JSON in UTF-16 or UTF-32, which is read as well, in the encoding of the secrets."""
    return raw.decode(json.detect_encoding(raw), "replace").encode("utf-8", "replace")
