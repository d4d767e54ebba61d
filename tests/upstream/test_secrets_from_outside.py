"""A provider that repeats what it was sent: the API key goes to nobody, in whatever form."""

import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.upstream.transports.scrubbing import Scrubber, secrets_of
from tests.conftest import StartGateway
from tests.harness.gateway import failure_of
from tests.harness.hostile import HostileServer, raw
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider

pytestmark = pytest.mark.slow

KEY = 'KEY01943AF3C2B1D4E5F6_aB3/d"Fgh\\iJ+kLmNo'

# As a text of its own; JSON is written around it.
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "header": lambda key: f"Authorization: Bearer {key}",
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of the header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"x{key}y".encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
    "percent": lambda key: quote(key, safe=""),
    "all percent": lambda key: "".join(f"%{ord(it):02x}" for it in key),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "JSON in JSON": lambda key: json.dumps({"authorization": key}),
    "HTML": lambda key: "".join(f"&#{ord(it)};" for it in key),
}


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(it):04x}" for it in text)


def revealed(text: str, key: str = KEY) -> bool:
    """Whether any part of the key that is worth anything stands in a text, in any of its forms."""
    core = key[8:-2]
    forms = [core, core.encode().hex(), quote(core, safe=""), escaped(core)]
    for before in range(3):
        coded = base64.b64encode(b"x" * before + core.encode()).decode()
        forms += [coded[4:-4], coded[4:-4].replace("+", "-").replace("/", "_")]
    forms += [json.dumps(core)[1:-1], FORMS["all percent"](core), FORMS["HTML"](core)]
    return any(form in text for form in forms)


@pytest.mark.parametrize("form", FORMS)
def test_no_response_brings_the_key_back(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    form: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = start_gateway(provider.base_url, TELNYX_API_KEY=KEY)
    said = FORMS[form](KEY)
    error = {"errors": [{"code": "1", "title": said, "detail": said, "source": {"pointer": said}}]}

    seen: list[str] = []
    for answer in (
        Answer(422, error, {"x-request-id": said}),
        Answer(503, error, {"x-request-id": said}),
        Answer(401, error),
        Answer(200, error),
        Answer(418, said.encode()),
        Answer(200, said.encode()),
        Answer(422, json.dumps(error).encode("utf-16")),
        Answer(422, json.dumps(error).replace(json.dumps(said)[1:-1], escaped(said)).encode()),
    ):
        provider.answer = answer
        failed = failure_of(
            gateway.conferences.EndConference,
            c.EndConferenceRequest(conference_id="c1", command_id="m"),
        )
        seen.append(f"{failed.message} {failed.status} {failed.status.SerializeToString()!r}")

    provider.answer = Answer(200, {"data": {"result": said}})
    ended = gateway.conferences.EndConference(c.EndConferenceRequest(conference_id="c1"))
    provider.answer = Answer(200, {"data": {"id": "c1", "name": said}})
    conference = gateway.conferences.GetConference(c.GetConferenceRequest(conference_id="c1"))
    provider.answer = Answer(200, {"data": [{"name": said}] * 2, "meta": {"total_pages": 1}})
    queues = gateway.queues.ListQueues(q.ListQueuesRequest())
    assert len(queues.queues) == 2
    seen += map(repr, (ended, conference, queues))
    seen += [
        f"{it.getMessage()} {it.exc_text}" for it in caplog.records if it.name.startswith("gateway")
    ]

    assert not [text for text in seen if revealed(text) or KEY in text]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nbearer %b\r\n\r\n",
        b"HTTP/1.1 %b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: %b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%b\r\n",
    ],
)
def test_no_broken_response_brings_the_key_back(
    loop: LoopThread, start_gateway: StartGateway, data: bytes
) -> None:
    key = "KEY0194_abcdefghijklmnopqr"
    server = HostileServer(loop, raw(data % key.encode()))
    gateway = start_gateway(server.base_url, TELNYX_API_KEY=key)

    failed = failure_of(
        gateway.conferences.EndConference,
        c.EndConferenceRequest(conference_id="c1", command_id="m"),
    )

    assert key[:12] not in f"{failed.message} {failed.status}"
    assert failed.info.metadata["outcome"] == "unknown"
    server.close()


# Printable, as a header's value is; no key has the characters that begin an escape.
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\%&'))


@given(KEYS.filter(lambda key: 8 <= len(key) <= 80))
def test_any_key_is_found_in_each_form(key: str) -> None:
    scrubber = Scrubber([key])
    for form in FORMS.values():
        for text in (form(key), json.dumps(form(key)), escaped(form(key))):
            assert "***" in scrubber.text(f"<{text}>")


@given(st.binary(max_size=300))
def test_what_holds_no_secret_is_left_as_it_is(body: bytes) -> None:
    if b"\0" not in body[:4]:
        assert Scrubber([KEY]).body(body) == body


def test_the_proxys_password_is_a_secret_too() -> None:
    scrubber = Scrubber(secrets_of(KEY, "http://someone:pass%40word@proxy:3128"))
    sent = base64.b64encode(b"someone:pass@word").decode()

    assert scrubber.text(f"Basic {sent} pass@word") == "Basic *** ***"


def test_words_that_stand_for_no_key_are_left() -> None:
    assert Scrubber(["sandbox", ""]).text("sandbox") == "sandbox"
