"""Compressed answers, though none was asked for: decoded within bounds, or a clear error."""

import gzip
import zlib
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.transport import (
    RESPONSE_BYTES_MAX,
    HttpResponse,
    OversizeError,
    TransportError,
    UnansweredError,
)
from gateway.upstream.transports.content import ERROR_BYTES_MAX, MEMBERS_MAX, decoded


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    " Deflate": bare_deflate,
    "identity": bytes,
    "": bytes,
}


def response(body: bytes, coding: str, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-encoding": coding}, body)


@given(st.binary(max_size=2_000), st.lists(st.sampled_from([*CODINGS]), max_size=3))
def test_what_was_compressed_is_read_back_layer_by_layer(data: bytes, names: list[str]) -> None:
    body = data
    for name in names:
        body = CODINGS[name](body)

    assert decoded(response(body, ", ".join(names))).body == data


@given(st.lists(st.binary(max_size=500), max_size=4), st.integers(0, 20))
def test_members_of_gzip_are_joined_and_padding_is_passed_over(
    parts: list[bytes], padding: int
) -> None:
    body = b"".join(gzip.compress(part, mtime=0) for part in parts) + b"\0" * padding

    assert decoded(response(body, "gzip")).body in (b"".join(parts), body if not parts else b"")


@given(st.binary(max_size=500), st.sampled_from([*CODINGS, "br", "zstd", "gzip, br", "né"]))
def test_any_bytes_are_decoded_or_an_error_of_the_transport(body: bytes, coding: str) -> None:
    try:
        decoded(response(body, coding))
    except TransportError as error:
        assert str(error)  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("body", "coding", "complaint"),
    [
        (gzip.compress(b"x" * 500, mtime=0)[:-12], "gzip", "is truncated"),
        (b"{}", "gzip", "gzip encoding is damaged"),
        (b"\xff" * 9, "deflate", "deflate encoding is damaged"),
        (b"{}", "br", "'br', which was not requested and is not supported"),
        (b"{}", "zstd", "'zstd'"),
        (b"{}", ",".join(["gzip"] * 4), "compressed 4 times"),
    ],
)
def test_what_cannot_be_decoded_is_no_whole_answer(
    body: bytes, coding: str, complaint: str
) -> None:
    with pytest.raises(UnansweredError, match=complaint):
        decoded(response(body, coding))


def test_of_a_refusal_that_cannot_be_decoded_the_status_is_left() -> None:
    refused = decoded(response(b"{}", "br", 404))

    assert (refused.status, refused.body) == (404, b"")


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_bomb_is_not_unpacked_however_it_is_wrapped(layers: int) -> None:
    body = b" " * (RESPONSE_BYTES_MAX + 1)
    for _ in range(layers):
        body = gzip.compress(body, mtime=0)

    with pytest.raises(OversizeError):
        decoded(response(body, ", ".join(["gzip"] * layers)))


def test_many_small_members_are_a_bomb_together() -> None:
    member = gzip.compress(b" " * (RESPONSE_BYTES_MAX // 4))

    with pytest.raises(OversizeError):
        decoded(response(member * 5, "gzip"))


def test_as_much_as_may_be_held_is_decoded() -> None:
    data = orjson.dumps("x" * (RESPONSE_BYTES_MAX - 2))

    assert decoded(response(gzip.compress(data, mtime=0), "gzip")).body == data


def test_a_gzip_of_more_members_than_anybody_writes_is_not_read() -> None:
    member = gzip.compress(b"{}", mtime=0)
    assert decoded(response(member * MEMBERS_MAX, "gzip")).body == b"{}" * MEMBERS_MAX

    with pytest.raises(UnansweredError, match="more than 100 members"):
        decoded(response(member * (MEMBERS_MAX + 1), "gzip"))


@pytest.mark.parametrize("coding", ["gzip", ""])
def test_of_a_refusal_with_much_to_say_the_status_is_left(coding: str) -> None:
    longest = b"x" * ERROR_BYTES_MAX
    for body, left in ((longest, longest), (longest + b"x", b"")):
        assert decoded(response(CODINGS[coding](body), coding, 422)).body == left
    assert decoded(response(CODINGS[coding](longest + b"x"), coding, 200)).body
