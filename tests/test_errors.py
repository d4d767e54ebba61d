"""Errors as clients see them: everything said, nothing too large."""

from google.rpc import error_details_pb2
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from gateway.details import FieldViolation, Resource, shortened
from gateway.server.errors import GatewayError, status_of


def detail(error: GatewayError, kind: type) -> object:
    for packed in status_of(error).details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def test_every_kind_of_detail_is_there_when_it_applies() -> None:
    error = GatewayError(
        StatusCode.NOT_FOUND,
        "NOT_FOUND",
        "no such thing",
        {"http_status": "404", "empty": ""},
        (FieldViolation("queue_name", "is not known"),),
        Resource("queue", "support"),
        1.5,
        "https://example.com/help",
    )

    status = status_of(error, "req-1")

    assert (status.code, status.message) == (5, "no such thing")
    assert [packed.TypeName().rpartition(".")[2] for packed in status.details] == [
        "ErrorInfo",
        "BadRequest",
        "ResourceInfo",
        "RetryInfo",
        "RequestInfo",
        "Help",
    ]
    info = detail(error, error_details_pb2.ErrorInfo)
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("NOT_FOUND", "telnyx-grpc-gateway")
    assert dict(info.metadata) == {"http_status": "404"}


@given(
    st.text(max_size=3_000),
    st.lists(st.tuples(st.text(max_size=500), st.text(max_size=2_000)), max_size=60),
    st.text(max_size=2_000),
)
def test_a_status_fits_into_trailers_however_long_the_list(
    message: str, violations: list[tuple[str, str]], url: str
) -> None:
    error = GatewayError(
        StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        message,
        {"provider_code": message},
        tuple(FieldViolation(*it) for it in violations),
        Resource("queue", message),
        2,
        url,
    )

    status = status_of(error, "r" * 64)

    assert len(status.message.encode()) < 1_024
    assert sum(it.ByteSize() for it in status.details) < 4_096


def test_violations_that_do_not_fit_are_counted() -> None:
    violations = tuple(FieldViolation(f"field_{n}", "x" * 200) for n in range(100))
    error = GatewayError(StatusCode.INVALID_ARGUMENT, "R", "m", violations=violations)

    request = detail(error, error_details_pb2.BadRequest)

    assert isinstance(request, error_details_pb2.BadRequest)
    listed = len(request.field_violations) - 1
    assert 10 < listed < 100
    rest = request.field_violations[-1].description
    assert rest == f"{100 - listed} more violations are not listed"


@given(st.text(), st.integers(3, 50))
def test_texts_are_cut_between_characters(text: str, limit: int) -> None:
    cut = shortened(text, limit)

    assert len(cut.encode()) <= limit
    assert cut.removesuffix("...") in text.encode("utf-8", "replace").decode()
