"""Mistakes that several settings make together, or the system's own variables."""

from collections.abc import Mapping

from gateway.ports import mistakes_of_ports
from gateway.values import check_system_certificates, plaintext_host

# Of these a gateway shows one.
_SHOWN_TO_NATS = (
    "GATEWAY_NATS_LOGIN",
    "GATEWAY_NATS_TOKEN",
    "GATEWAY_NATS_CREDS",
    "GATEWAY_NATS_NKEY",
)


def clashes(given: Mapping[str, str]) -> list[str]:
    """Return the mistakes that only several settings together make; `given` has their texts."""
    return [
        *_sends_key_unencrypted(given),
        *_callers_of_no_file(given),
        *_shows_nats_several(given),
        *mistakes_of_ports(given),
    ]


def mistakes_of_system(env: Mapping[str, str]) -> list[str]:
    """Return the mistake that OpenSSL's own variable makes, which the HTTP client obeys."""
    text = env.get("SSL_CERT_FILE", "")
    try:
        if text:
            check_system_certificates(text)
    except ValueError as error:
        return [f"SSL_CERT_FILE {error}"]
    return []


def _sends_key_unencrypted(given: Mapping[str, str]) -> list[str]:
    try:
        host = plaintext_host(given["TELNYX_BASE_URL"])
    except ValueError:
        return []  # named already
    if host is None or given.get("GATEWAY_UPSTREAM_PLAINTEXT", "").lower() == "allowed":
        return []
    return [
        f"TELNYX_BASE_URL would send the API key unencrypted to {host}: use https://, or set"
        " GATEWAY_UPSTREAM_PLAINTEXT=allowed if the network is private"
    ]


def _shows_nats_several(given: Mapping[str, str]) -> list[str]:
    shown = [it for it in _SHOWN_TO_NATS if it in given]
    mistakes = []
    if len(shown) > 1:
        mistakes.append(f"{' and '.join(shown)} are set: leave all but one of them out")
    for one, other in (
        ("GATEWAY_NATS_TLS_KEY", "GATEWAY_NATS_TLS_CERT"),
        ("GATEWAY_NATS_TLS_CERT", "GATEWAY_NATS_TLS_KEY"),
    ):
        if one in given and other not in given:
            mistakes.append(f"{one} is set and {other} is not: both go together")
    return mistakes


def _callers_of_no_file(given: Mapping[str, str]) -> list[str]:
    return [
        f"{name}=callers requires GATEWAY_CALLERS, which says who they are"
        for name in ("GATEWAY_REFLECTION", "GATEWAY_HEALTH")
        if given.get(name, "").lower() == "callers" and "GATEWAY_CALLERS" not in given
    ]
