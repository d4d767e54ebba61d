"""Addresses in the settings: the provider's, our own, and the way out."""

from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SettingsError
from gateway.ports import PORTS, Port
from tests.config.given import mistake, mistakes, settings

# --- The provider's address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://api.example.com/v2#top", "has a fragment"),
        ("https://api.example.com/v2?x=1", "has a query"),
        ("https://api.example.com/v2?", "has a query"),
        ("https://user:secret@api.example.com/v2", "must not have a user"),
        ("https://@api.example.com/v2", "must not have a user"),
        ("https://api.example.com:65536/v2", "is not an http(s) URL"),
        ("https://api.example.com:0/v2", "no port that can be connected to"),
        ("https://api.example.com:/v2", "no port that can be connected to"),
        ("https://api.example.com:\u0661\u0662/v2", "has blanks"),
        ("https://api.example .com/v2", "has blanks"),
        ("https://api.example.com/v2\t/x", "has blanks"),
        ("https:\\\\api.example.com/v2", "has blanks, backslashes"),
        ("https://[::1/v2", "is not an http(s) URL"),
        ("https://[::g]/v2", "is not an http(s) URL"),
        ("https:///v2", "is not an http(s) URL"),
        ("https:api.example.com", "is not an http(s) URL"),
        ("api.telnyx.com/v2", "is not an http(s) URL"),
        ("ftp://api.example.com", "is not an http(s) URL"),
        ("https://api..example.com/v2", "has an invalid host"),
        ("https://999.1.1.1/v2", "has an invalid IPv4 address"),
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
        "TELNYX_BASE_URL would send the API key unencrypted to"
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
        ("[127.0.0.1]:1", "has an invalid IPv6 address"),
        ("[]:1", "has an invalid IPv6 address"),
        ("256.0.0.1:1", "has an invalid IPv4 address"),
        ("local host:1", "has an invalid host"),
        ("*:1", "has an invalid host"),
        ("http://localhost:1", "several colons"),
        ("unix:run/gateway.sock", "is not unix: with an absolute path"),
        ("unix://run/gateway.sock", "is not unix: with an absolute path"),
        ("unix:/run/", "does not name a file"),
        ("unix:/" + "x" * 90, "has a path of more than 90 bytes"),
        ("user@localhost:1", "has an invalid host"),
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
        ("unix:/run/gateway/grpc.sock", "unix:/run/gateway/grpc.sock"),
        ("unix:///run/grpc.sock", "unix:/run/grpc.sock"),
    ],
)
def test_an_address_to_listen_on_is_a_port_of_a_host_or_a_socket_file(
    text: str, shown: str
) -> None:
    found = settings(GATEWAY_GRPC_ADDRESS=text, GATEWAY_GRPC_TRUST="network")

    assert str(found.grpc_address) == shown


@pytest.mark.parametrize("port", PORTS, ids=lambda it: it.prefix)
@pytest.mark.parametrize("text", ["0.0.0.0:9", "[::]:9", "10.0.0.1:9", "gateway.internal:9"])
def test_an_address_that_other_hosts_reach_needs_a_word_that_it_is_guarded(
    port: Port, text: str
) -> None:
    found = mistake(**{port.address: text})

    assert found.startswith(f"{port.address} opens {text} to other hosts, unencrypted: set ")
    assert f"{port.trust}=network if a sidecar or a private network guards it" in found
    assert mistakes(**{port.address: text, port.trust: "Network"}) == []
    # Of one address nothing follows for another.
    for other in PORTS:
        if other != port:
            assert mistakes(**{port.address: text, other.trust: "network"}) == [found]


@pytest.mark.parametrize("port", PORTS, ids=lambda it: it.prefix)
@pytest.mark.parametrize("text", ["127.0.0.9:9", "[::1]:9", "localhost:9", "unix:/run/x.sock"])
def test_an_address_that_only_this_host_reaches_needs_none(port: Port, text: str) -> None:
    assert mistakes(**{port.address: text}) == []


def test_all_that_is_open_is_named_at_once() -> None:
    found = mistakes(**{port.address: f"0.0.0.0:{n}" for n, port in enumerate(PORTS, 1)})

    assert [it.split()[0] for it in found] == [port.address for port in PORTS]


@pytest.mark.parametrize(
    ("grpc", "http"),
    [
        ("127.0.0.1:8080", None),
        (None, "127.0.0.1:50051"),
        ("0.0.0.0:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::]:9000"),
        ("LOCALHOST:9000", "localhost:9000"),
        ("unix:/run/x.sock", "unix:///run/x.sock"),
        ("127.0.0.1:9080", None),
    ],
)
def test_one_address_for_both_is_a_mistake(grpc: str | None, http: str | None) -> None:
    given_ = {"GATEWAY_GRPC_ADDRESS": grpc, "GATEWAY_HTTP_ADDRESS": http}

    trusted = {port.trust: "network" for port in PORTS}
    found = mistake(**{name: text for name, text in given_.items() if text}, **trusted)

    assert "as GATEWAY_GRPC_ADDRESS does" in found


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://nats:4222/EVENTS", "nats://nats:4222/EVENTS"),
        ("nats://a,b:4333,[::1]:4222/e-1_x", "nats://a:4222,b:4333,[::1]:4222/e-1_x"),
        ("tls://nats.example.com/EVENTS", "tls://nats.example.com:4222/EVENTS"),
    ],
)
def test_a_log_may_be_a_stream_of_some_servers(text: str, shown: str) -> None:
    found = settings(GATEWAY_EVENT_LOG=text)

    assert str(found.event_log) == shown
    assert found.log_file == found.index == Path(".gateway/index.db")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nats://nats:4222", "must end in /stream"),
        ("nats://nats:4222/", "must end in /stream"),
        ("nats://nats:4222/a.b", "must end in /stream"),
        ("nats://nats:4222/a/b", "must end in /stream"),
        (f"nats://nats:4222/{'a' * 65}", "must end in /stream"),
        ("nats:///EVENTS", "has a server that is not host:port"),
        ("nats://a:0/EVENTS", "has a server that is not host:port"),
        ("nats://a:4222,/EVENTS", "has a server that is not host:port"),
        ("nats://a:65536/EVENTS", "has a server that is not host:port"),
        ("nats://user:secret@a:4222/EVENTS", "must not have a user"),
    ],
)
def test_a_stream_that_cannot_be_one_is_refused(text: str, words: str) -> None:
    found = mistake(GATEWAY_EVENT_LOG=text)

    assert found.startswith(f"GATEWAY_EVENT_LOG {words}")
    assert "secret" not in found


def test_an_index_is_a_file() -> None:
    assert "names a folder" in mistake(GATEWAY_INDEX="/tmp/")


def test_nats_is_shown_one_kind_of_credentials(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    assert settings(GATEWAY_NATS_TOKEN=str(file)).nats_token == file
    assert mistake(GATEWAY_NATS_TOKEN=str(file), GATEWAY_NATS_CREDS=str(file)) == (
        "GATEWAY_NATS_TOKEN and GATEWAY_NATS_CREDS are set: leave all but one of them out"
    )
    assert "cannot be read" in mistake(GATEWAY_NATS_NKEY=str(tmp_path / "none"))
    assert mistake(GATEWAY_NATS_TLS_CERT=str(file)) == (
        "GATEWAY_NATS_TLS_CERT is set and GATEWAY_NATS_TLS_KEY is not: both go together"
    )


def test_webhook_addresses_are_whole_urls_and_may_have_a_query() -> None:
    url = "https://voice.example.com/webhooks/telnyx?tenant=7"
    assert settings(GATEWAY_WEBHOOK_URL=f"{url}, http://b/x/").webhook_urls == (url, "http://b/x")
    assert mistake(GATEWAY_WEBHOOK_URL=",") == "GATEWAY_WEBHOOK_URL has no URL"
    assert "URL 2 of 2 has a fragment" in mistake(GATEWAY_WEBHOOK_URL=f"{url},http://b/#x")


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
