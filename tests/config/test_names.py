"""Names in the environment: which are settings, misspelt ones, and nobody's."""

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.config import SDK_NAMES, SettingsError, load_settings, names
from tests.config.given import KEY, mistake, mistakes, settings

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


_ADDRESSES = "GATEWAY_GRPC_ADDRESS or GATEWAY_HTTP_ADDRESS or GATEWAY_ADMIN_ADDRESS"


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
        ("GATEWAY_PORT", _ADDRESSES),
        ("GATEWAY_LISTEN", _ADDRESSES),
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
