"""What settings can be, what is refused and in which words."""

import math
import socket
from base64 import b64decode, b64encode
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SettingsError, load_settings, names
from tests.config.given import GOOD, KEY, OTHER_KEY, mistake, mistakes, settings

# --- Blanks, quotes and emptiness

# A file may have any name, and these are read.
_FILES = {"GATEWAY_UPSTREAM_CA", *(it for it in names() if "_TLS_" in it)}


@given(st.text(" \t\n\r", max_size=3), st.text(" \t\n\r", max_size=3))
def test_blanks_around_any_value_do_not_count(before: str, after: str) -> None:
    plain = {
        "TELNYX_API_KEY": "KEY0123",
        "TELNYX_PUBLIC_KEY": KEY,
        "TELNYX_BASE_URL": "https://api.example.com/v2",
        "GATEWAY_GRPC_ADDRESS": "[::1]:50052",
        "GATEWAY_HTTP_ADDRESS": "localhost:8081",
        "GATEWAY_EVENT_LOG": "sqlite:////var/lib/events.db",
        "GATEWAY_RETENTION_AGE": "36h",
        "GATEWAY_RETENTION_SIZE": "512MiB",
        "GATEWAY_UPSTREAM_PROXY": "http://proxy:3128",
        "GATEWAY_UPSTREAM_IN_FLIGHT": "7",
        "GATEWAY_WEBHOOK_URL": "https://voice.example.com/webhooks/telnyx",
        "GATEWAY_LOG_LEVEL": "debug",
    }
    padded = {name: f"{before}{text}{after}" for name, text in plain.items()}

    assert load_settings(padded) == load_settings(plain)


@pytest.mark.parametrize("name", names())
def test_nothing_but_blanks_is_not_set(name: str) -> None:
    if name in GOOD:
        assert mistake(**{name: " \n"}).startswith(f"{name} is not set")
    else:
        assert settings(**{name: " \n"}) == settings()


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_a_shell_would_have_taken_off_are_pointed_out(quote: str) -> None:
    found = mistake(GATEWAY_CALL_TIMEOUT=f"{quote}10s{quote}")

    assert found.startswith("GATEWAY_CALL_TIMEOUT is not a duration")
    assert found.endswith("; leave out the quotes")


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("name", sorted({it for it in names() if it not in _FILES}))
def test_no_setting_is_taken_in_quotes(name: str, quote: str) -> None:
    good = {**GOOD, "GATEWAY_UPSTREAM_PROXY": "http://proxy:3128"}.get(name, "on")

    found = mistake(**{name: f"{quote}{good}{quote}"})

    assert found.startswith(f"{name} ")
    assert found.endswith("; leave out the quotes")
    assert "KEY0123" not in found


def test_words_may_be_written_in_capitals() -> None:
    assert settings(GATEWAY_LOG_LEVEL="INFO", GATEWAY_BACKFILL="Off").log_level == "info"


# --- Keys


@pytest.mark.parametrize("key", ["KEY\n0", "KEY 0", "KEY\x000", "KÉY", "Bearer KEY", "K" * 1_001])
def test_an_api_key_that_cannot_be_a_header_is_refused_and_not_shown(key: str) -> None:
    found = mistake(TELNYX_API_KEY=key)

    assert found.startswith("TELNYX_API_KEY ")
    assert found.endswith("copy it again")
    assert key not in found


def test_an_api_key_out_of_a_file_may_end_in_a_line_end() -> None:
    key = settings(TELNYX_API_KEY="KEY0123\r\n").api_key

    assert key is not None
    assert key.get_secret_value() == "KEY0123"


@pytest.mark.parametrize("text", [",", " , ,"])
def test_public_keys_without_a_key_are_refused(text: str) -> None:
    assert mistake(TELNYX_PUBLIC_KEY=text) == "TELNYX_PUBLIC_KEY has no key"


def test_a_public_key_twice_is_a_rotation_that_did_not_happen() -> None:
    found = mistake(TELNYX_PUBLIC_KEY=f"{KEY}, {OTHER_KEY},{KEY}")

    assert found == "TELNYX_PUBLIC_KEY key 3 of 3 is key 1 again"
    assert settings(TELNYX_PUBLIC_KEY=f"{KEY},\n{OTHER_KEY},").public_keys == (
        b64decode(KEY),
        b64decode(OTHER_KEY),
    )


def test_a_public_key_may_have_the_prefix_of_standard_webhooks() -> None:
    assert settings(TELNYX_PUBLIC_KEY=f"whpk_{KEY}").public_keys == (b64decode(KEY),)
    assert "key 2 of 2 is key 1 again" in mistake(TELNYX_PUBLIC_KEY=f"whpk_{KEY},{KEY}")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("not a key", "is not base64"),
        ("_" + KEY[1:], "is not base64"),
        (b64encode(bytes(31)).decode(), "has 31 bytes; an Ed25519 public key has 32"),
        (b64encode(bytes(64)).decode(), "has 64 bytes; an Ed25519 public key has 32"),
    ],
)
def test_a_public_key_of_another_form_is_refused_by_its_number(key: str, words: str) -> None:
    assert mistake(TELNYX_PUBLIC_KEY=f"{KEY},{key}") == f"TELNYX_PUBLIC_KEY key 2 of 2 {words}"


# --- Spans of time, sizes, counts


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("GATEWAY_RETENTION_AGE", "1s", "3650d"),
        ("GATEWAY_CALL_TIMEOUT", "0.1s", "1h"),
        ("GATEWAY_HEDGE_AFTER", "0.01s", "10s"),
        ("GATEWAY_WEBHOOK_TOLERANCE", "1s", "1d"),
        ("GATEWAY_BACKFILL_INTERVAL", "0.1s", "1d"),
        ("GATEWAY_STREAM_AGE_MAX", "0.1s", "1d"),
        ("GATEWAY_DRAIN_TIMEOUT", "0.1s", "1h"),
    ],
)
def test_a_span_of_time_has_bounds(name: str, least: str, most: str) -> None:
    assert mistakes(**{name: least}) == mistakes(**{name: most}) == []
    for text in ("0s", "0.0000001s", "100000000000d", "3651d"):
        assert mistake(**{name: text}) == f"{name} is not between {least} and {most}"
    for text in (
        "",
        "10",
        "10 s",
        "-1s",
        "1e3s",
        "\u0661\u0660s",
        "1" * 5_000 + "s",
        "10ms",
        "infs",
        "1.s",
    ):
        if text:
            assert mistake(**{name: text}).startswith(f"{name} is not a duration"), text


@given(st.text("0123456789.smhd\u0661", max_size=25))
def test_a_span_of_time_that_is_taken_can_be_waited_for(text: str) -> None:
    try:
        taken = settings(GATEWAY_CALL_TIMEOUT=text).call_timeout
    except SettingsError:
        return
    assert math.isfinite(taken)
    assert 0.1 <= taken <= 3_600


def test_a_size_has_bounds() -> None:
    name = "GATEWAY_RETENTION_SIZE"
    assert settings(GATEWAY_RETENTION_SIZE="2048").retention_size == 2_048
    for text in ("0", "1023", "1025TiB", "999999999999999999TiB"):
        assert mistake(**{name: text}) == f"{name} is not between 1KiB and 1024TiB"
    for text in ("1GB", "-1", "1.5GiB", "\u0664GiB", "9" * 5_000):
        assert mistake(**{name: text}).startswith(f"{name} is not a size")


@pytest.mark.parametrize("text", ["0", "-1", "10001", "1_000", "1e2", "\u0667", "9" * 5_000, "ten"])
def test_a_count_is_a_whole_number_within_bounds(text: str) -> None:
    found = mistake(GATEWAY_UPSTREAM_IN_FLIGHT=text)

    assert found == "GATEWAY_UPSTREAM_IN_FLIGHT is not a whole number between 1 and 10000"


@pytest.mark.parametrize(
    ("text", "share"),
    [("1/3", Fraction(1, 3)), ("0.25", Fraction(1, 4)), ("50%", Fraction(1, 2)), ("1", 1)],
)
def test_a_share_is_a_fraction_a_decimal_or_a_percentage(text: str, share: Fraction) -> None:
    assert settings(GATEWAY_UPSTREAM_SHARE=text).upstream_share == share


def test_a_gateway_is_called_as_it_is_told_or_like_its_host() -> None:
    assert settings(GATEWAY_REPLICA="gateway-2.eu_west").replica_name == "gateway-2.eu_west"
    assert settings().replica_name == socket.gethostname()


@pytest.mark.parametrize("text", ["two words", "x" * 64, "k\u00fche"])
def test_a_name_is_short_and_plain(text: str) -> None:
    found = mistake(GATEWAY_REPLICA=text)

    assert found == "GATEWAY_REPLICA is not 1 to 63 letters, digits, dots, dashes and underscores"


@pytest.mark.parametrize("text", ["0", "0/3", "4/3", "1.5", "101%"])
def test_a_share_is_more_than_nothing_and_at_most_all(text: str) -> None:
    found = mistake(GATEWAY_UPSTREAM_SHARE=text)

    assert found == "GATEWAY_UPSTREAM_SHARE is not a share above 0 and of at most 1"


@pytest.mark.parametrize("text", ["-1", "1/0", "1e-1", "nan", "third", "\u0661", "9" * 5_000])
def test_a_share_is_no_other_text(text: str) -> None:
    found = mistake(GATEWAY_UPSTREAM_SHARE=text)

    assert found == "GATEWAY_UPSTREAM_SHARE is not a share such as 1/3, 0.25 or 25%"


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_the_shares_of_all_replicas_are_at_most_the_limit_and_each_has_some(
    limit: int, replicas: int
) -> None:
    part = settings(GATEWAY_UPSTREAM_SHARE=f"1/{replicas}").share_of(limit)

    assert part * replicas <= max(limit, replicas)
    assert part >= 1


# --- All of them at once


def test_every_kind_of_mistake_is_in_one_list() -> None:
    found = mistakes(
        TELNYX_API_KEY="KEY 0",
        TELNYX_PUBLIC_KEY=",",
        TELNYX_BASE_URL="https://api.example.com/v2#x",
        TELNYX_APIKEYS="x",
        GATEWAY_GRPC_ADDRESS="0.0.0.0:8080",
        GATEWAY_RETENTION_AGE="100000000000d",
        GATEWAY_UPSTREAM_WAITING="many",
        GATEWAY_LOG_FORMAT="xml",
        GATEWAY_LOGLEVEL="info",
        GATEWAY_PORT="tcp://10.0.0.1:80",
    )

    assert [line.split()[0] for line in found] == [
        "GATEWAY_LOGLEVEL",
        "TELNYX_APIKEYS",
        "TELNYX_API_KEY",
        "TELNYX_PUBLIC_KEY",
        "TELNYX_BASE_URL",
        "GATEWAY_RETENTION_AGE",
        "GATEWAY_UPSTREAM_WAITING",
        "GATEWAY_LOG_FORMAT",
        "GATEWAY_GRPC_ADDRESS",
        "GATEWAY_HTTP_ADDRESS",
    ]
