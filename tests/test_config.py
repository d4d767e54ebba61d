"""Settings: what can be set, what is refused and in which words."""

import math
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.config import SDK_NAMES, Settings, SettingsError, load_settings, names
from tests.harness.webhooks import Signer

KEY, OTHER_KEY = Signer().public_key, Signer(2).public_key
GOOD = {"TELNYX_API_KEY": "KEY0123", "TELNYX_PUBLIC_KEY": KEY}

DURATIONS = sorted(
    str(field.alias) for field in Settings.model_fields.values() if field.annotation is float
)


def mistakes(**env: str) -> list[str]:
    try:
        load_settings({**GOOD, **env})
    except SettingsError as error:
        return str(error).splitlines()
    return []


def mistake(**env: str) -> str:
    (found,) = mistakes(**env)
    return found


def settings(**env: str) -> Settings:
    return load_settings({**GOOD, **env})


# --- Blanks, quotes and emptiness


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
        "GATEWAY_HTTP_CLIENT": "httpx",
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

    assert found.startswith("GATEWAY_CALL_TIMEOUT is not a span of time")
    assert found.endswith("; leave out the quotes")


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("name", sorted({*names()} - {"GATEWAY_UPSTREAM_CA"}))
def test_no_setting_is_taken_in_quotes(name: str, quote: str) -> None:
    good = {**GOOD, "GATEWAY_UPSTREAM_PROXY": "http://proxy:3128"}.get(name, "on")

    found = mistake(**{name: f"{quote}{good}{quote}"})

    assert found.startswith(f"{name} ")
    assert found.endswith("; leave out the quotes")
    assert "KEY0123" not in found


def test_words_may_be_written_in_capitals() -> None:
    assert settings(GATEWAY_LOG_LEVEL="INFO", GATEWAY_BACKFILL="Off").log_level == "info"


# --- Names


# `kubectl exec ... env` in a namespace with Services named gateway, gateway-grpc, telnyx-gateway.
KUBERNETES = {
    "GATEWAY_SERVICE_HOST": "10.0.171.239",
    "GATEWAY_SERVICE_PORT": "50051",
    "GATEWAY_SERVICE_PORT_GRPC": "50051",
    "GATEWAY_SERVICE_PORT_WEB_HOOKS": "8080",
    "GATEWAY_PORT": "tcp://10.0.171.239:50051",
    "GATEWAY_PORT_50051_TCP": "tcp://10.0.171.239:50051",
    "GATEWAY_PORT_50051_TCP_PROTO": "tcp",
    "GATEWAY_PORT_50051_TCP_PORT": "50051",
    "GATEWAY_PORT_50051_TCP_ADDR": "10.0.171.239",
    "GATEWAY_PORT_53_UDP": "udp://10.0.171.239:53",
    "GATEWAY_PORT_53_UDP_PROTO": "udp",
    "GATEWAY_GRPC_SERVICE_HOST": "fd00::17",
    "GATEWAY_GRPC_PORT": "tcp://[fd00::17]:50051",
    "TELNYX_GATEWAY_SERVICE_HOST": "10.0.0.1",
    "TELNYX_GATEWAY_PORT": "tcp://10.0.0.1:50051",
    "TELNYX_API_KEY_SERVICE_HOST": "10.0.0.2",
    "TELNYX_API_KEY_PORT": "tcp://10.0.0.2:80",
}


def test_what_kubernetes_sets_for_services_is_no_mistake() -> None:
    assert settings(**KUBERNETES) == settings()


SERVICE_NAMES = st.from_regex(r"(gateway|telnyx)(-[a-z0-9]{1,8}){0,3}", fullmatch=True)


@given(SERVICE_NAMES, st.integers(1, 65_535), st.sampled_from(["tcp", "udp", "sctp"]))
def test_no_service_of_any_name_is_a_mistake_or_changes_a_setting(
    service: str, port: int, protocol: str
) -> None:
    name = service.upper().replace("-", "_")
    link = f"{name}_PORT_{port}_{protocol.upper()}"
    env = {
        f"{name}_SERVICE_HOST": "10.0.0.1",
        f"{name}_SERVICE_PORT": str(port),
        f"{name}_SERVICE_PORT_GRPC": str(port),
        f"{name}_PORT": f"{protocol}://10.0.0.1:{port}",
        link: f"{protocol}://10.0.0.1:{port}",
        f"{link}_PROTO": protocol,
        f"{link}_PORT": str(port),
        f"{link}_ADDR": "10.0.0.1",
    }

    assert not set(env) & set(names())
    assert settings(**env) == settings()


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "GATEWAY_GRPC_PORT"])
def test_a_plain_number_under_such_a_name_was_set_by_somebody(name: str) -> None:
    assert mistake(**{name: "50051"}).startswith(f"{name} is not a setting")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TELNYX_APIKEY", "TELNYX_API_KEY"),
        ("TELNYX_API_KEYS", "TELNYX_API_KEY"),
        ("TELNYX_PUBLICKEY", "TELNYX_PUBLIC_KEY"),
        ("TELNYX_PUBLIC_KEYS", "TELNYX_PUBLIC_KEY"),
        ("TELNYX_BASEURL", "TELNYX_BASE_URL"),
        ("TELNYX_BASE_URI", "TELNYX_BASE_URL"),
        ("telnyx_base_url", "TELNYX_BASE_URL"),
        ("TELYNX_BASE_URL", "TELNYX_BASE_URL"),
        ("GATEWAY_GRPC_ADRESS", "GATEWAY_GRPC_ADDRESS"),
        ("gateway_log_level", "GATEWAY_LOG_LEVEL"),
        ("GATWAY_LOG_LEVEL", "GATEWAY_LOG_LEVEL"),
        ("TELNX_BASE_URI", "TELNYX_BASE_URL"),
        ("TELNYX_URL", "TELNYX_BASE_URL"),
        ("TELNYX_API_URL", "TELNYX_BASE_URL"),
        ("TELNYX_BASE", "TELNYX_BASE_URL"),
        ("TELNYX_API_BASE", "TELNYX_BASE_URL"),
        ("TELNYX_HOST", "TELNYX_BASE_URL"),
        ("TELNYX_ENDPOINT", "TELNYX_BASE_URL"),
        ("GATEWAY_PROXY", "GATEWAY_UPSTREAM_PROXY"),
        ("GATEWAY_GRPC_PORT", "GATEWAY_GRPC_ADDRESS"),
        ("GATEWAY_HTTP_HOST", "GATEWAY_HTTP_ADDRESS"),
        ("GATEWAY_PORT", "GATEWAY_GRPC_ADDRESS or GATEWAY_HTTP_ADDRESS"),
        ("GATEWAY_LISTEN", "GATEWAY_GRPC_ADDRESS or GATEWAY_HTTP_ADDRESS"),
    ],
)
def test_a_misspelt_name_is_a_mistake(name: str, meant: str) -> None:
    assert mistake(**{name: "8080"}) == f"{name} is not a setting: did you mean {meant}?"


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """A setting's name, and what a slip of the pen makes of it."""
    name = draw(st.sampled_from(names()))
    at = draw(st.integers(0, len(name) - 2))
    letter = draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    slip = draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            ]
        )
    )
    assume(slip not in names())
    return name, slip


@given(slips(), st.booleans())
@example(("TELNYX_BASE_URL", "TELNYX_BASE_URI"), True)
@example(("TELNYX_BASE_URL", "TELNYX_BSAE_URL"), True)
@example(("TELNYX_BASE_URL", "TELNYX_BASE_ULR"), True)
@example(("TELNYX_BASE_URL", "TELNX_BASE_URL"), True)
@example(("TELNYX_BASE_URL", "TELYNX_BASE_URL"), True)
def test_a_slip_in_a_name_is_a_mistake_even_beside_the_right_one(
    slip: tuple[str, str], is_set: bool
) -> None:
    name, written = slip
    beside = {"TELNYX_BASE_URL": "https://api.example.com/v2"} if is_set else {}

    assert mistakes(**{written: "x"}, **beside) == [
        f"{written} is not a setting: did you mean {name}?"
    ]


@pytest.mark.parametrize("name", ["GATEWAY_COLOUR", "GATEWAY_DATABASE", "GATEWAY_X"])
def test_nothing_is_hinted_at_that_is_not_near(name: str) -> None:
    assert mistake(**{name: "8080"}) == f"{name} is not a setting"


@pytest.mark.parametrize("name", ["TELNYX_URL", "TELNYX_API_BASE", "TELNYX_HOST"])
def test_another_word_for_the_providers_address_is_none_beside_it(name: str) -> None:
    assert mistakes(**{name: "x", "TELNYX_BASE_URL": "https://api.example.com/v2"}) == []


@pytest.mark.parametrize("name", ["API_GATEWAY_LOG_LEVEL", "MY_TELNYX_BASE_URL", "BASE_URL"])
def test_another_programs_name_is_no_mistake(name: str) -> None:
    assert mistakes(**{name: "x"}) == []


def test_what_docker_sets_for_a_link_and_a_web_server_for_cgi_is_no_mistake() -> None:
    env = {
        "GATEWAY_NAME": "/web/gateway",
        "GATEWAY_GRPC_NAME": "/web/gateway-grpc",
        "GATEWAY_ENV_PATH": "/usr/bin",
        "GATEWAY_ENV_TELNYX_BASE_URL": "https://api.example.com",
        "GATEWAY_GRPC_ENV_LOG_LEVEL": "info",
        "TELNYX_API_KEY_NAME": "/web/telnyx-api-key",
        "GATEWAY_PORT": "tcp://172.17.0.5:50051",
        "GATEWAY_INTERFACE": "CGI/1.1",
    }

    assert settings(**env) == settings()


def test_a_misspelt_name_is_told_beside_what_it_left_unset() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"TELNYX_KEY": "K", "TELNYX_PUBLIC_KY": KEY, "TELNYX_API_KY": "K"})

    assert str(caught.value).splitlines() == [
        "TELNYX_API_KY is not a setting: did you mean TELNYX_API_KEY?",
        "TELNYX_PUBLIC_KY is not a setting: did you mean TELNYX_PUBLIC_KEY?",
        "TELNYX_API_KEY is not set: set it to an API key (v2) from the provider's portal",
        "TELNYX_PUBLIC_KEY is not set: set it to the public key that the portal shows beside it",
    ]


@pytest.mark.parametrize(
    "name",
    [*sorted(SDK_NAMES), "TELNYX_CONNECTION_ID", "TELNYX_FROM_NUMBER", "TELNYX_SIP_PASSWORD"],
)
def test_what_the_sdk_or_an_application_reads_is_no_mistake(name: str) -> None:
    assert mistakes(**{name: "x"}) == []


def test_the_names_of_the_sdk_are_those_that_it_reads() -> None:
    import telnyx

    texts = [path.read_text() for path in Path(telnyx.__file__).parent.glob("*.py")]
    texts += [path.read_text() for path in (Path(telnyx.__file__).parent / "_utils").glob("*.py")]
    read = {
        word
        for text in texts
        for line in text.splitlines()
        if "environ" in line
        for word in line.split('"')
        if word.startswith("TELNYX_")
    }

    assert read - set(names()) == SDK_NAMES


# --- The provider's address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://api.example.com/v2#top", "has a fragment"),
        ("https://api.example.com/v2?x=1", "has a query"),
        ("https://api.example.com/v2?", "has a query"),
        ("https://user:secret@api.example.com/v2", "must not hold a user"),
        ("https://@api.example.com/v2", "must not hold a user"),
        ("https://api.example.com:65536/v2", "is not an http(s) address"),
        ("https://api.example.com:0/v2", "no port that can be connected to"),
        ("https://api.example.com:/v2", "no port that can be connected to"),
        ("https://api.example.com:\u0661\u0662/v2", "holds blanks"),
        ("https://api.example .com/v2", "holds blanks"),
        ("https://api.example.com/v2\t/x", "holds blanks"),
        ("https:\\\\api.example.com/v2", "holds blanks, backslashes"),
        ("https://[::1/v2", "is not an http(s) address"),
        ("https://[::g]/v2", "is not an http(s) address"),
        ("https:///v2", "is not an http(s) address"),
        ("https:api.example.com", "is not an http(s) address"),
        ("api.telnyx.com/v2", "is not an http(s) address"),
        ("ftp://api.example.com", "is not an http(s) address"),
        ("https://api..example.com/v2", "has a host that is no name"),
        ("https://999.1.1.1/v2", "has a host that is no IPv4 address"),
        ("https://api.example.com/v2/../v1", "has a path with . or .."),
        ("https://api.telnyx.com", "must end in /v2 at api.telnyx.com"),
        ("https://API.telnyx.com/v1/", "must end in /v2 at api.telnyx.com"),
    ],
)
def test_an_address_that_cannot_be_the_providers_is_refused(url: str, words: str) -> None:
    found = mistake(TELNYX_BASE_URL=url)

    assert found.startswith(f"TELNYX_BASE_URL {words}") or words in found
    assert "secret" not in found


@pytest.mark.parametrize(
    "url",
    [
        "https://api.telnyx.com/v2",
        "http://127.0.0.1:8081",
        "http://[::1]:80/a/b",
        "https://dev_1/v2",
    ],
)
def test_a_slash_at_the_end_of_the_providers_address_does_not_matter(url: str) -> None:
    assert settings(TELNYX_BASE_URL=url + "/").base_url == url


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.1.2.3:80", "[::1]"])
def test_the_key_may_go_in_clear_to_this_host(host: str) -> None:
    assert settings(TELNYX_BASE_URL=f"http://{host}/v2").base_url == f"http://{host}/v2"


@pytest.mark.parametrize("host", ["dev_1", "sandbox:8081", "10.0.0.1", "[fd00::1]:80", "127.evil"])
def test_the_key_goes_in_clear_to_no_other_host_unless_that_is_said(host: str) -> None:
    url = f"http://{host}/v2"

    assert mistake(TELNYX_BASE_URL=url).startswith(
        "TELNYX_BASE_URL would send the API key in clear to"
    )
    allowed = settings(TELNYX_BASE_URL=url, GATEWAY_UPSTREAM_PLAINTEXT="Allowed")
    assert allowed.base_url == url


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.integers(0, 25))
def test_an_address_with_anything_in_it_is_refused_or_is_one_that_httpx_reads_alike(
    inserted: str, at: int
) -> None:
    import httpx

    url = "https://api.example.com/v2"
    url = url[:at] + inserted + url[at:]
    try:
        taken = settings(TELNYX_BASE_URL=url).base_url
    except SettingsError:
        return

    path = httpx.URL(taken + "/queues/x").raw_path.decode()
    assert path.endswith("/queues/x")
    assert taken + "/queues/x" == str(httpx.URL(taken + "/queues/x")) or taken != taken.lower()


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
    assert mistake(TELNYX_PUBLIC_KEY=text) == "TELNYX_PUBLIC_KEY holds no key"


def test_a_public_key_twice_is_a_rotation_that_did_not_happen() -> None:
    found = mistake(TELNYX_PUBLIC_KEY=f"{KEY}, {OTHER_KEY},{KEY}")

    assert found == "TELNYX_PUBLIC_KEY key 3 of 3 is key 1 again"
    assert settings(TELNYX_PUBLIC_KEY=f"{KEY},\n{OTHER_KEY},").public_keys == (KEY, OTHER_KEY)


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
            assert mistake(**{name: text}).startswith(f"{name} is not a span of time"), text


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
        assert mistake(**{name: text}).startswith(f"{name} is not an amount of bytes")


@pytest.mark.parametrize("text", ["0", "-1", "10001", "1_000", "1e2", "\u0667", "9" * 5_000, "ten"])
def test_a_count_is_a_whole_number_within_bounds(text: str) -> None:
    found = mistake(GATEWAY_UPSTREAM_IN_FLIGHT=text)

    assert found == "GATEWAY_UPSTREAM_IN_FLIGHT is not a whole number between 1 and 10000"


# --- Where to listen, where to keep


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("50051", "is not host:port"),
        (":50051", "is not host:port"),
        ("localhost:", "is not host:port"),
        ("localhost:http", "is not host:port"),
        ("localhost:\u0668\u0660", "is not host:port"),
        ("localhost:65536", "ports end at 65535"),
        ("::1:50051", "in brackets"),
        ("[::1", "in brackets"),
        ("[127.0.0.1]:1", "is no IPv6 address"),
        ("[]:1", "is no IPv6 address"),
        ("256.0.0.1:1", "is no IPv4 address"),
        ("local host:1", "is no name"),
        ("*:1", "is no name"),
        ("http://localhost:1", "several colons"),
        ("unix:/run/gateway.sock", "is not host:port"),
        ("user@localhost:1", "is no name"),
    ],
)
def test_an_address_to_listen_on_that_is_none_is_refused(text: str, words: str) -> None:
    assert words in mistake(GATEWAY_GRPC_ADDRESS=text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.0.0.0:1", "0.0.0.0:1"),
        ("[::]:65535", "[::]:65535"),
        ("gateway.internal:9", "gateway.internal:9"),
        ("localhost:0", "localhost:0"),
    ],
)
def test_an_address_to_listen_on_is_a_name_or_an_ip_and_a_port(text: str, shown: str) -> None:
    assert str(settings(GATEWAY_GRPC_ADDRESS=text).grpc_address) == shown


@pytest.mark.parametrize(
    ("grpc", "http"),
    [
        ("127.0.0.1:8080", None),
        (None, "127.0.0.1:50051"),
        ("0.0.0.0:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::]:9000"),
        ("LOCALHOST:9000", "localhost:9000"),
    ],
)
def test_one_address_for_both_is_a_mistake(grpc: str | None, http: str | None) -> None:
    given_ = {"GATEWAY_GRPC_ADDRESS": grpc, "GATEWAY_HTTP_ADDRESS": http}

    found = mistake(**{name: text for name, text in given_.items() if text})

    assert "which GATEWAY_GRPC_ADDRESS has already" in found


def test_any_free_port_can_be_asked_for_twice() -> None:
    either = "127.0.0.1:0"
    assert mistakes(GATEWAY_GRPC_ADDRESS=either, GATEWAY_HTTP_ADDRESS=either) == []
    assert mistakes(GATEWAY_GRPC_ADDRESS="127.0.0.1:9", GATEWAY_HTTP_ADDRESS="127.0.0.2:9") == []


@pytest.mark.parametrize(
    "text",
    ["sqlite:///", "sqlite://events.db", "sqlite:///:memory:", "sqlite:///e.db?mode=ro", "/e.db"],
)
def test_a_log_that_is_no_file_is_refused(text: str) -> None:
    assert mistake(GATEWAY_EVENT_LOG=text).startswith("GATEWAY_EVENT_LOG is not")


def test_a_log_that_is_a_folder_is_refused() -> None:
    assert "names a folder" in mistake(GATEWAY_EVENT_LOG="sqlite:////var/lib/gateway/")


def test_webhook_addresses_are_whole_urls_and_may_have_a_query() -> None:
    url = "https://voice.example.com/webhooks/telnyx?tenant=7"
    assert settings(GATEWAY_WEBHOOK_URL=f"{url}, http://b/x/").webhook_urls == (url, "http://b/x")
    assert mistake(GATEWAY_WEBHOOK_URL=",") == "GATEWAY_WEBHOOK_URL holds no address"
    assert "address 2 of 2 has a fragment" in mistake(GATEWAY_WEBHOOK_URL=f"{url},http://b/#x")


# --- The way out


@pytest.mark.parametrize(
    "text", ["proxy:3128", "socks5://proxy:1080", "http://proxy:3128/x", "http://u:secret@pro xy:1"]
)
def test_a_proxy_that_cannot_be_one_is_refused_and_its_password_not_shown(text: str) -> None:
    found = mistake(GATEWAY_UPSTREAM_PROXY=text)

    assert found.startswith("GATEWAY_UPSTREAM_PROXY ")
    assert "secret" not in found


def test_a_proxys_password_is_not_shown_by_the_settings_that_hold_it() -> None:
    loaded = settings(GATEWAY_UPSTREAM_PROXY="http://someone:secret@proxy:3128")

    assert "secret" not in repr(loaded) + str(loaded)


def test_certificates_are_read_at_the_start(tmp_path: Path) -> None:
    good, bad, empty = (tmp_path / name for name in ("good.pem", "bad.pem", "empty.pem"))
    pem = trustme.CA().cert_pem.bytes()
    good.write_bytes(pem * 2)
    bad.write_bytes(pem + pem.replace(b"M", b"N", 8))
    empty.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")

    found: Any = settings(GATEWAY_UPSTREAM_CA=str(good)).upstream_ca

    assert len(found.der) == 2
    assert "certificate 2 of 2 cannot be read" in mistake(GATEWAY_UPSTREAM_CA=str(bad))
    assert "without a certificate" in mistake(GATEWAY_UPSTREAM_CA=str(empty))
    assert "No such file" in mistake(GATEWAY_UPSTREAM_CA=str(tmp_path / "none.pem"))
    assert "cannot be read" in mistake(GATEWAY_UPSTREAM_CA=str(tmp_path))


def test_a_file_of_system_certificates_that_is_none_is_named_at_the_start(tmp_path: Path) -> None:
    good, bad, mixed = (tmp_path / name for name in ("good.pem", "bad.pem", "mixed.pem"))
    pem = trustme.CA().cert_pem.bytes()
    good.write_bytes(pem)
    bad.write_bytes(pem.replace(b"M", b"N", 8))
    mixed.write_bytes(bad.read_bytes() + pem)

    for path in ("", str(good), str(mixed)):
        assert mistakes(SSL_CERT_FILE=path) == [], path
    assert mistake(SSL_CERT_FILE="/nope") == (
        "SSL_CERT_FILE names a file that cannot be read: No such file or directory"
    )
    assert mistake(SSL_CERT_FILE=str(bad)).startswith("SSL_CERT_FILE names a file without")
    (tmp_path / "junk").write_bytes(b"junk")
    assert mistake(SSL_CERT_FILE=str(tmp_path / "junk")).startswith("SSL_CERT_FILE names a file")


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
        "GATEWAY_HTTP_ADDRESS",
    ]
