"""Error bodies in the forms that the APIs of this world have: the fields, and the words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.failures.errorbody import ErrorBody, ProviderError

Read = tuple[str, dict[str, str]]


def read(document: Any) -> Read:
    """The words that a caller is told, and those about each field."""
    errors = ErrorBody.read(json.dumps(document).encode()).errors
    fields = {error.pointer: error.text for error in errors if error.pointer}
    return next((error.text for error in errors if error.text), ""), fields


GOOGLE = {
    "error": {
        "code": 400,
        "message": "Invalid value",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "queue.size", "description": "too large"}],
            },
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_LARGE"},
        ],
    }
}
GOOGLE_OLD = {
    "error": {
        "code": 400,
        "message": "Invalid value",
        "errors": [
            {
                "domain": "global",
                "reason": "invalid",
                "message": "Invalid value: 7",
                "locationType": "parameter",
                "location": "size",
            }
        ],
    }
}


@pytest.mark.parametrize(
    ("document", "words", "fields"),
    [
        # A mapping of words is no mapping of fields.
        (
            {"error": {"type": "not_found", "reason": "no such queue"}},
            "no such queue",
            {},
        ),
        ({"error": {"kind": "not_found", "why": "no queue"}}, "kind: not_found; why: no queue", {}),
        ({"errors": {"kind": "gone", "about": {"queue": "q"}}}, "kind: gone; about: queue: q", {}),
        ({"errors": [{"kind": "gone"}]}, "kind: gone", {}),
        # Rails, Laravel, Django REST framework, ASP.NET
        ({"errors": {"size": ["too big", "odd"]}}, "too big", {"size": "odd"}),
        (
            {"errors": {"size": ["too big"], "name": "taken"}},
            "too big",
            {"size": "too big", "name": "taken"},
        ),
        (
            {"message": "The given data was invalid.", "errors": {"size": ["too big"]}},
            "too big",
            {"size": "too big"},
        ),
        (
            {"title": "Validation failed.", "status": 400, "errors": {"Name": ["required"]}},
            "required",
            {"Name": "required"},
        ),
        ({"errors": {"description": ["too long"]}}, "too long", {"description": "too long"}),
        ({"errors": {"code": ["bad"], "title": ["bad"]}}, "bad", {"code": "bad", "title": "bad"}),
        ({"errors": {"size": {"message": "too big"}}}, "too big", {"size": "too big"}),
        # FastAPI
        (
            {"detail": [{"loc": ["body", "size"], "msg": "too big", "type": "value_error"}]},
            "too big",
            {"/body/size": "too big"},
        ),
        ({"detail": "Not Found"}, "Not Found", {}),
        ({"detail": {"kind": "gone"}}, "kind: gone", {}),
        # JSON:API, which the provider's contract follows
        (
            {"errors": [{"code": "1", "title": "Bad", "source": {"pointer": "/data/size"}}]},
            "Bad",
            {"/data/size": "Bad"},
        ),
        # RFC 9457 (problem+json), with its own extension and that of RFC 7807's example
        (
            {"type": "https://x.example/gone", "title": "Gone", "status": 410, "detail": "It left"},
            "It left",
            {},
        ),
        ({"type": "about:blank", "title": "Not Found", "status": 404}, "Not Found", {}),
        (
            {"title": "Bad", "errors": [{"detail": "too big", "pointer": "#/size"}]},
            "too big",
            {"#/size": "too big"},
        ),
        (
            {"title": "Bad", "invalid-params": [{"name": "size", "reason": "too big"}]},
            "Bad",
            {"size": "too big"},
        ),
        (
            {"title": "Bad", "violations": [{"propertyPath": "size", "message": "too big"}]},
            "Bad",
            {"size": "too big"},
        ),
        # One object, or less
        ({"message": "No such queue"}, "No such queue", {}),
        ({"Message": "No such queue"}, "No such queue", {}),
        ({"error": "No such queue"}, "No such queue", {}),
        ({"error": "invalid_grant", "error_description": "It expired"}, "It expired", {}),
        (
            {"status": 404, "error": "Not Found", "message": "No such queue", "path": "/q"},
            "No such queue",
            {},
        ),
        (
            {"error": {"message": "Bad", "code": "E1", "details": "size is odd"}},
            "Bad: size is odd",
            {},
        ),
        ({"error": {"message": "Bad", "details": ["a", "b"]}}, "Bad: a; b", {}),
        (
            {"error": {"message": "Bad", "details": [{"field": "size", "issue": "too big"}]}},
            "Bad",
            {"size": "too big"},
        ),
        (
            {"error": {"type": "api_error", "param": "size", "message": "Odd"}},
            "Odd",
            {"size": "Odd"},
        ),
        ({"errors": [{"msg": "Odd", "param": "size", "location": "body"}]}, "Odd", {"size": "Odd"}),
        ({"code": 20404, "message": "No such queue", "status": 404}, "No such queue", {}),
        (GOOGLE, "Invalid value", {"queue.size": "too large"}),
        (GOOGLE_OLD, "Invalid value", {"size": "Invalid value: 7"}),
    ],
)
def test_words_are_told_and_only_fields_are_called_so(
    document: Any, words: str, fields: dict[str, str]
) -> None:
    assert read(document) == (words, fields)


words = st.text(alphabet="abcdefgh ", min_size=1, max_size=8).filter(str.strip)
NAMES = (
    "code detail details errors invalid-params loc message meta msg queue reason size source status"
    " title type violations why"
)
names = st.sampled_from(NAMES.split())


@given(
    st.sampled_from(["error", "errors"]),
    st.recursive(
        words | st.integers() | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=10,
    ),
)
def test_any_body_is_read_without_raising(name: str, document: Any) -> None:
    words, fields = read({name: document})

    assert isinstance(words, str)
    assert "" not in fields


@given(
    st.sampled_from(["error", "errors"]),
    st.dictionaries(
        names.filter(lambda it: it not in ("loc", "source", "meta")), words, min_size=1
    ),
    st.booleans(),
)
def test_an_object_of_words_is_told_in_words_and_never_as_fields(
    name: str, said: dict[str, str], listed: bool
) -> None:
    told, fields = read({name: [said] if listed else said})

    assert any(text in told for text in said.values()) or set(said) == {"code"}
    assert fields == {}


@given(
    st.dictionaries(
        st.sampled_from(["size", "queue", "why"]),
        st.lists(words, min_size=1, max_size=2),
        min_size=1,
    )
)
def test_an_object_of_lists_is_one_of_fields(said: dict[str, list[str]]) -> None:
    assert read({"errors": said})[1] == {name: texts[-1] for name, texts in said.items()}


@pytest.mark.slow
def test_values_without_end_are_not_all_told() -> None:
    documents: tuple[Any, ...] = (
        {"error": {str(it): "x" for it in range(200_000)}},
        {"error": [[]] * 200_000},
    )
    for document in documents:
        assert len(read(document)[0]) < 20_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["errors", "error", "source", "pointer", "meta", "code", "x"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_error_body_is_too_odd(document: Any) -> None:
    for error in ErrorBody.read(json.dumps({"errors": document}).encode()).errors:
        assert error != ProviderError()
        assert isinstance(error.text, str)


def test_a_deep_error_body_is_survived() -> None:
    assert ErrorBody.read(b'{"errors": ' + b'{"a": [' * 100_000).errors == ()
    assert ErrorBody.read(b'{"errors": ' + b'{"a": [' * 400 + b"]}" * 400 + b"}").errors == ()


def test_of_errors_without_end_so_many_are_looked_at() -> None:
    said = {"detail": "no"}
    nothing: list[dict[str, str]] = [{}] * 100_000

    assert [it.detail for it in ErrorBody.of({"errors": [said, *nothing, said]}).errors] == ["no"]
