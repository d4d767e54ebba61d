"""What is fuzzed: readers of bytes from outside, each with what must hold for any input.

A reader raises the errors that it documents and no others, says the same of the same, and takes
nothing that it must not. What else it should do is for its own tests.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError, Message

from conferencing.v1 import conference_service_pb2, queue_service_pb2
from conferencing.v1.event_pb2 import EVENT_NOTE_REASON_NOT_READ, Event
from conferencing.v1.event_service_pb2 import EventFilter
from conferencing.v1.queue_service_pb2 import ListQueuesRequest
from gateway.details import FieldViolation
from gateway.ingest.webhooks.decoder import NotAnEventError, WebhookDecoder
from gateway.ingest.webhooks.signature import SignatureError, SignatureVerifier
from gateway.journal.cursor import Cursor, CursorFormatError
from gateway.schema.binding import compile_services
from gateway.schema.event_keys import declared_keys
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.pages import PAGE_SIZE_MAX, PageError, RequestedPage
from gateway.server.services.filters import FilterReader
from gateway.tokens import TokenKind, seal
from gateway.tracecontext import STATE_MAX, TRACEPARENT, TRACESTATE, received, state_of
from gateway.upstream.bound import BoundOperation
from tests.fuzz.identities import (
    CALLERS_FILE,
    CLAIMS,
    GROUPS,
    callers_file,
    forwarded_certificate,
    signed,
    web_token,
)
from tests.harness.events import keys_of
from tests.harness.webhooks import Signer, webhook

CORPUS = Path(__file__).parent / "corpus"

NOW = 1_800_000_000.0
SIGNER = Signer()
BODY = webhook(id_="signed")

OPERATIONS = tuple(
    BoundOperation.of(binding)
    for binding in compile_services(
        (
            conference_service_pb2.DESCRIPTOR.services_by_name["ConferenceService"],
            queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
        )
    )
)

# What the path of a request may be made of, its query included (RFC 3986, 3.3 and 3.4).
_PATH = re.compile(r"/[\w.~!$&'()*+,;=:@%/?\[\]-]*", re.ASCII)


@dataclass(frozen=True)
class Target:
    """`run` is given an input, and fails if what must hold does not. `seeds` are good inputs."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]

    @property
    def kept(self) -> tuple[bytes, ...]:
        """Inputs that were kept: each has once found something, or reaches what few inputs do."""
        return tuple(path.read_bytes() for path in sorted((CORPUS / self.name).glob("*")))


def _check(holds: object) -> None:
    assert holds


# --- Signatures: headers, a line each, an empty line and the body


def _request(headers: dict[str, str], body: bytes = BODY) -> bytes:
    return "".join(f"{name}:{value}\n" for name, value in headers.items()).encode() + b"\n" + body


_VERIFIER = SignatureVerifier([SIGNER.raw_public_key, bytes(Signer(2).raw_public_key)], lambda: NOW)


def signed_headers(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    lines = [line.partition(b":") for line in head.split(b"\n")]
    headers = [(name.lower(), value) for name, _, value in lines]
    try:
        readings = _VERIFIER.read(headers)
        assert readings
        _VERIFIER.verify(readings, body)
    except SignatureError as refused:
        _check(re.fullmatch(r"[A-Z_]+", refused.reason) and str(refused).encode())
        return
    # Nothing else was ever signed.
    assert body == BODY


# --- Webhooks


_DECODER = WebhookDecoder()


def webhook_body(data: bytes) -> None:
    try:
        new = _DECODER.decode(data, int(NOW * 1e6))
    except NotAnEventError as refused:
        _check(refused.reason in ("NOT_JSON", "NOT_AN_EVENT", "API_VERSION_1"))
        return
    event = Event.FromString(new.body)
    assert event.id == new.id != ""
    assert event.type == new.type != ""
    assert new.raw == data
    # The decoder's own last resort: that it met what it did not expect.
    assert not [it for it in event.notes if it.reason == EVENT_NOTE_REASON_NOT_READ]


# --- Tokens: a text, or behind a zero byte a payload that is sealed as one of ours


def _token(kind: bytes, data: bytes) -> str | None:
    if data[:1] == b"\0":
        return seal(TokenKind(kind, 1), data[1:])
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def cursor(data: bytes) -> None:
    if (text := _token(b"c", data)) is None:
        return
    try:
        found = Cursor.parse(text)
    except CursorFormatError:
        return
    assert str(found) == text


def page_token(data: bytes) -> None:
    size, text = int.from_bytes(data[:1]), _token(b"p", data[1:])
    if text is None:
        return
    try:
        page = RequestedPage.of(ListQueuesRequest(page_token=text, page_size=size))
    except PageError as refused:
        _check(refused.violation.field == "page_token")
        return
    query = dict(page.query())
    assert int(query.get("page[number]", 1)) >= 1
    assert 0 <= int(query.get("page[size]", 0)) <= PAGE_SIZE_MAX
    for count in (0, 1, PAGE_SIZE_MAX):
        with suppress(ValueError):
            part, _ = page.read(count, {"page_size": size, "total_results": count})
            assert 0 <= len(range(count)[part]) <= count


# --- Filters: a message on the wire


_FILTERS = FilterReader(declared_keys())
_KEYS = keys_of(type="conference.created", conference_id="c1", queue_name="q1")


def event_filter(data: bytes) -> None:
    try:
        message = EventFilter.FromString(data)
    except DecodeError:
        return
    violations: list[FieldViolation] = []
    found = _FILTERS.read(message, violations)
    if violations:
        assert found.is_everything
        return
    assert found.matches(_KEYS) in (True, False)
    assert found.within(found) == found
    # A prefix of nothing is one of everything.
    assert found.is_everything == all(
        not values or (key.takes_prefixes and "*" in values)
        for key, values in ((it, getattr(message, it.filter_field)) for it in declared_keys())
    )
    assert found.size_bytes >= 0
    assert all(found.wake_keys())


# --- Bindings: the operation's number, and its request on the wire or its response's body


def _operation(data: bytes) -> tuple[BoundOperation, bytes]:
    return OPERATIONS[int.from_bytes(data[:1]) % len(OPERATIONS)], data[1:]


def rest_request(data: bytes) -> None:
    operation, wire = _operation(data)
    try:
        request = operation.binding.request_class.FromString(wire)
    except DecodeError:
        return
    try:
        rest = operation.prepare(request)
    except InvalidRequestError as refused:
        _check(refused.violations)
        return
    assert _PATH.fullmatch(rest.path), rest.path
    assert not {".", "..", "%2E", "%2E%2E"} & {*rest.path.partition("?")[0].upper().split("/")}
    if rest.body is not None:
        assert isinstance(json.loads(rest.body, parse_constant=_no_constant), dict)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def rest_response(data: bytes) -> None:
    operation, body = _operation(data)
    with suppress(ValueError):
        response = operation.finish(_PREPARED[operation.name], body)
        assert type(response).FromString(response.SerializeToString()) == response


def _filled(request_class: type[Message]) -> Message:
    """A request with every text, number and word of it set."""
    request = request_class()
    for field in request_class.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING and field.name != "page_token":
            if field.is_repeated:
                getattr(request, field.name).append("x")
            else:
                setattr(request, field.name, "x")
        elif field.type in (field.TYPE_ENUM, field.TYPE_INT32) and not field.is_repeated:
            setattr(request, field.name, 1)
    return request


_REQUESTS = {it.name: _filled(it.binding.request_class) for it in OPERATIONS}
_PREPARED = {it.name: it.prepare(_REQUESTS[it.name]) for it in OPERATIONS}

_RESPONSE = json.dumps(
    {"data": {"id": "x", "created_at": "2026-01-01T00:00:00Z", "result": "ok", "max_size": 7}}
).encode()
_LIST = json.dumps({"data": [{"id": "x"}], "meta": {"page_number": 1, "total_pages": 2}}).encode()


# --- The place in a trace: a line for each header, a name, a colon and a value


def traceparent(data: bytes) -> None:
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = [(name.lower(), value) for name, _, value in lines]
    context = received(headers)
    if context is None:
        return
    (parent,) = [value for name, value in headers if name == TRACEPARENT]
    states = [value for name, value in headers if name == TRACESTATE]
    assert parent[3:52] == f"{context.trace_id}-{context.span_id}"
    assert _TRACEPARENT.fullmatch(context.traceparent), context
    # What goes on to others is theirs to read, and can break no header.
    assert received(context.headers.items()) == context
    assert state_of(context.state) == context.state
    assert len(context.state) <= STATE_MAX
    assert re.fullmatch("[ -~]*", context.state, re.ASCII)
    keys = [it.partition("=")[0] for it in context.state.split(",") if it]
    assert len(keys) == len({*keys}) <= 32
    assert all(it in ",".join(states) for it in context.state.split(","))


_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]", re.ASCII)
_PARENT = f"traceparent:00-{'0a' * 16}-{'b1' * 8}-01".encode()


TARGETS = (
    Target(
        "signed_headers",
        signed_headers,
        (
            _request(SIGNER.telnyx(BODY, NOW)),
            _request(SIGNER.standard(BODY, NOW)),
            _request({**SIGNER.telnyx(BODY, NOW), **SIGNER.standard(BODY, NOW)}),
        ),
    ),
    Target("webhook_body", webhook_body, (BODY, webhook("call.enqueued", {"queue": "q"}))),
    Target(
        "forwarded_certificate",
        forwarded_certificate,
        (
            b"By=spiffe://example.org/envoy;Hash=ab;URI=spiffe://example.org/sa/desk;DNS=a.svc",
            b'Subject="CN=\\"a\\", b";URI=,DNS="b.svc";Cert="x"',
        ),
    ),
    Target("callers_file", callers_file, (CALLERS_FILE,)),
    Target(
        "web_token",
        web_token,
        (b"\0" + CLAIMS, b"\0" + GROUPS, signed(CLAIMS).encode(), signed(GROUPS).encode()),
    ),
    Target(
        "traceparent",
        traceparent,
        (
            _PARENT + b"\ntracestate:a=1,t/b@c=x y,\ntracestate:d=" + b"z" * 200,
            _PARENT.replace(b":00-", b":cc-") + b"-more",
        ),
    ),
    Target("cursor", cursor, (str(Cursor(b"epoch-12", 7)).encode(), b"\0epoch-12" + bytes(8))),
    Target(
        "page_token",
        page_token,
        (b"\x14\0" + bytes((0, 0, 0, 2, 0, 0, 0, 0, 0, 20, 0, 20, 1)) + bytes(8), b"\x14text"),
    ),
    Target(
        "event_filter",
        event_filter,
        (EventFilter(types=["conference.*"], conference_ids=["c1"]).SerializeToString(), b""),
    ),
    Target(
        "rest_request",
        rest_request,
        tuple(
            bytes((number,)) + _REQUESTS[it.name].SerializeToString()
            for number, it in enumerate(OPERATIONS)
        ),
    ),
    Target(
        "rest_response",
        rest_response,
        tuple(
            bytes((number,)) + body
            for number in range(len(OPERATIONS))
            for body in (_RESPONSE, _LIST)
        ),
    ),
)
