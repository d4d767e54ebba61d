"""Envelopes: whether a response is the provider's word on the request, and the JSON in it.

The provider responds with `{"data": ...}`, or refuses with `{"errors": [...]}`. What a proxy puts
in its place does not say what became of the request.
"""

from typing import Any

from gateway.schema.decoder import MismatchError
from gateway.schema.lenient_json import VALUES_MAX, has_too_many_values, parse
from gateway.upstream.failures.errorbody import ErrorBody
from gateway.upstream.transport import HttpResponse

# Blanks, and the byte order mark in UTF-8.
_BLANKS = b" \t\r\n\xef\xbb\xbf"

# Time-out and rate limit: they count whoever sent them.
_ANYBODYS = frozenset({408, 429})


class NotAResponseError(ValueError):
    """A response that is not the provider's word on the request.

    It is a proxy's page, or truncated, or an error in spite of a 2xx: whether the command ran is
    unknown. `what` says what came instead, `errors` holds the provider's if it sent some.
    """

    def __init__(self, what: str, errors: ErrorBody | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.errors = errors or ErrorBody()


def check(response: HttpResponse, *, expects_body: bool) -> None:
    """Raise NotAResponseError if a response is not the provider's word on the request.

    `expects_body` is false for operations that the provider responds to with nothing.
    """
    if 200 <= response.status < 300:
        _check_success(response.body, expects_body=expects_body)
    elif 400 <= response.status < 500 and response.status not in _ANYBODYS:
        _check_refusal(response.body)


def document_of(body: bytes, *, expects_body: bool) -> dict[str, Any]:
    """Return the JSON object of a 2xx body; nothing where nothing is expected and no page came.

    Raises NotAResponseError, and MismatchError for a body of too many values to be read.
    """
    if has_too_many_values(body):
        raise MismatchError(f"JSON of at most {VALUES_MAX} values", "the body")
    try:
        document = parse(body)
    except ValueError:
        document = None
        if body.lstrip()[:1] == b"<":
            raise NotAResponseError("a page in HTML or XML") from None
    if type(document) is not dict:
        if not expects_body:
            return {}
        raise NotAResponseError("something other than a JSON object" if body else "no content")
    if not document.get("data"):
        _check_without_data(document, expects_body=expects_body)
    return document


def _check_success(body: bytes, *, expects_body: bool) -> None:
    if has_too_many_values(body):
        return  # which is for `document_of` to say
    # Nearly all are at first sight; to read them twice would cost each call a tenth.
    if body[:1] != b"{" or b'"data"' not in body or b'"errors"' in body:
        document_of(body, expects_body=expects_body)


def _check_refusal(body: bytes) -> None:
    # The provider refuses in JSON, or with an empty body.
    text = body.lstrip(_BLANKS)
    if text and text[:1] not in (b"{", b"["):
        raise NotAResponseError("a page in HTML or XML" if text[:1] == b"<" else "plain text")


def _check_without_data(document: dict[str, Any], *, expects_body: bool) -> None:
    errors = ErrorBody.of(document)
    if errors.errors:
        raise NotAResponseError("an error", errors)
    # The provider's own responses may lack `data`: its SDK takes even `{}` for one.
    if document and expects_body and not document.keys() & {"data", "meta"}:
        raise NotAResponseError("a JSON object without `data`")
