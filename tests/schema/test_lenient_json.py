"""JSON that no strict reader takes: read as far as it can be, or taken apart unread."""

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.schema.json_text import cut_below, decoded, elements, members
from gateway.schema.lenient_json import DEPTH_MAX, NumberText, WrittenFloat, has_double, read
from gateway.schema.timestamps import parse_timestamp
from tests.harness import odd_json

strict = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(strict)
def test_what_every_reader_takes_is_read_as_they_do(value: Any) -> None:
    assert read(orjson.dumps(value)) == (value, False)
    assert read(json.dumps(value).encode()).value == value


@given(odd_json.values)
def test_any_value_is_read_to_what_can_be_written_again(text: str) -> None:
    value = read(odd_json.surrogates_apart(text)).value

    assert json.loads(json.dumps(value, allow_nan=False)) == value
    json.dumps(value, ensure_ascii=False).encode()


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_read_or_refused(raw: bytes) -> None:
    try:
        value = read(raw).value
    except ValueError:
        return
    json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    "digits", [str(2**64), str(-(2**63) - 1), "9" * 310, "-" + "1" * 5_000, "1e400", "NaN"]
)
@pytest.mark.parametrize("around", ["%s", "[%s]", '{"a": %s}', "[1,%s]", "[ \n%s]"])
def test_a_number_beyond_64_bits_keeps_what_was_written(digits: str, around: str) -> None:
    value = read((around % digits).encode()).value
    while not isinstance(value, str):
        value = value["a"] if isinstance(value, dict) else value[-1]

    assert (value, type(value)) == (digits, NumberText)


def test_digits_in_a_text_are_no_number() -> None:
    raw = b'{"id": "123456789012345678901234567890", "a": ": 123456789012345678901234567890"}'

    assert read(raw).value == json.loads(raw)
    assert not any(isinstance(it, NumberText) for it in read(raw).value.values())


@pytest.mark.parametrize(
    "written",
    [
        "9007199254740993.0",
        "1e-400",
        "-1E-400",
        "1e-99999999999999999999999",
        "123456789012345678e0",
        "1234567890123456789.5",
        "0.30000000000000000001",
        "1.00000000000000000001",
        "1" * 400 + ".5e-380",
    ],
)
def test_a_fraction_whose_digits_a_double_loses_keeps_what_was_written(written: str) -> None:
    (value,) = read(b"[%s]" % written.encode()).value

    assert (value, type(value)) == (written, NumberText)


@pytest.mark.parametrize(
    "written",
    [
        "0.1",
        "1.50",
        "1e3",
        "1E+3",
        "1e23",
        "-0.0",
        "0e-99999999999999999999",
        "0.30000000000000004",
    ],
)
def test_a_double_keeps_its_text_beside_its_value(written: str) -> None:
    (value,) = read(b"[%s]" % written.encode()).value

    assert (value, type(value), str(value)) == (float(written), WrittenFloat, written)


digits = st.text("0123456789", min_size=1, max_size=25)


@given(
    whole=digits.map(lambda it: it.lstrip("0") or "0"),
    fraction=digits.map(lambda it: "." + it) | st.just(""),
    exponent=st.integers(-420, 420).map(lambda it: f"e{it}") | st.just(""),
    sign=st.sampled_from(["", "-"]),
)
def test_no_digit_of_any_number_is_lost(
    whole: str, fraction: str, exponent: str, sign: str
) -> None:
    written = sign + whole + fraction + exponent

    (value,) = read(b"[%s]" % written.encode()).value

    if isinstance(value, float):
        assert Decimal(repr(float(value))) == Decimal(written)
    assert str(value) == written or (written, value) == ("-0", 0)


@given(strict)
def test_a_double_is_found_wherever_it_stands(value: Any) -> None:
    def holds(it: Any) -> bool:
        if isinstance(it, list | dict):
            return any(map(holds, it.values() if isinstance(it, dict) else it))
        return isinstance(it, float)

    assert has_double(value) == holds(value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (rb'"x\ud83d"', rb'"x\ud83e"'),
        (rb'"x\ud83d"', rb'"x\udc00"'),
        (b'"x\xfe"', b'"x\xff"'),
        (b'"x\xed\xa0\xbd"', b'"x\xed\xa0\xbe"'),
        (rb'"\udcff"', b'"\xff"'),
    ],
)
def test_texts_that_are_not_unicode_stay_different(first: bytes, second: bytes) -> None:
    one, other = read(first), read(second)

    assert one.repaired
    assert other.repaired
    assert one.value != other.value


def test_half_of_a_pair_and_a_foreign_byte_are_shown_as_they_are_escaped() -> None:
    raw = rb'{"a\udc00": "cut \ud83d", "b": "\ud83d\ude00 caf' + b'\xe9"}'

    assert read(raw) == ({"a\\udc00": "cut \\ud83d", "b": "\U0001f600 caf\\xe9"}, True)


@given(st.integers(1, 300), st.integers(0, 40))
def test_depth_is_cut_where_it_is_too_much(depth: int, allowed: int) -> None:
    text = "[" * depth + '"]["' + "]" * depth

    cut = json.loads(cut_below(text, allowed))

    expected: Any = "][" if depth <= allowed else None
    for _ in range(min(depth, allowed)):
        expected = [expected]
    assert cut == expected


def test_depth_costs_no_stack() -> None:
    value = read(b"[" * 200_000 + b"]" * 200_000).value

    levels = 0
    while value is not None:
        (value,) = value
        levels += 1
    assert levels == DEPTH_MAX


@given(st.lists(odd_json.values, max_size=6))
def test_an_array_comes_apart_into_what_was_put_in(parts: list[str]) -> None:
    assert elements(" [" + " , ".join(parts) + "\n] ") == parts


@given(st.lists(st.tuples(odd_json.names, odd_json.values), max_size=6))
def test_an_object_comes_apart_into_what_was_put_in(parts: list[tuple[str, str]]) -> None:
    text = "{" + ",".join(f"{name} : {value}" for name, value in parts) + "}"

    assert members(text) == {json.loads(name, strict=False): value for name, value in parts}


@given(st.lists(odd_json.values, min_size=1, max_size=4), st.data())
def test_what_does_not_come_to_its_end_is_no_array(parts: list[str], data: st.DataObject) -> None:
    text = "[" + ",".join(parts) + "]"
    cut = text[: data.draw(st.integers(0, len(text) - 1))]

    with pytest.raises(ValueError, match=r"is truncated|does not start"):
        elements(cut)
    with pytest.raises(ValueError, match="has text after its end"):
        elements(text + "]")


@pytest.mark.parametrize("text", ["", "7", "null", '"["', "]", "{}"])
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not start"):
        elements(text)


@pytest.mark.parametrize("text", ['{"a"}', "{1: 2}", "{,}"])
def test_members_without_a_name_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        members(text)


def test_bytes_that_are_none_of_their_encoding_are_replaced_and_told_of() -> None:
    assert decoded("caf\u00e9".encode()) == ("caf\u00e9", True)
    assert decoded("caf\u00e9".encode("utf-16")) == ("caf\u00e9", True)
    assert decoded(b"caf\xe9") == ("caf\\\\xe9", False)
    assert decoded("caf\u00e9".encode("utf-16") + b"\x00") == ("caf\u00e9\ufffd", False)
    assert decoded(b"\xef\xbb\xbf{}") == ("{}", True)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:59:59.5+01:00", "0000-01-01T00:00:00Z"]
)
def test_a_time_that_no_timestamp_holds_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="year"):
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("9999-12-31T23:59:59+00:00", 253_402_300_799),
        ("0001-01-01T01:00:00+01:00", -62_135_596_800),
    ],
)
def test_the_first_and_the_last_second_are_times(text: str, seconds: int) -> None:
    assert parse_timestamp(text).seconds == seconds
