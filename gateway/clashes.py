"""Mistakes that only several settings together make."""

from collections.abc import Mapping

from gateway.values import plaintext_host


def mistakes_together(given: Mapping[str, str], base_url: str) -> list[str]:
    """Return a line for each; `given` has the texts of settings by their names."""
    return [*_sends_key_unencrypted(given, base_url), *_callers_of_no_file(given)]


def _sends_key_unencrypted(given: Mapping[str, str], base_url: str) -> list[str]:
    try:
        host = plaintext_host(base_url)
    except ValueError:
        return []  # named already
    if host is None or given.get("GATEWAY_UPSTREAM_PLAINTEXT", "").lower() == "allowed":
        return []
    return [
        f"TELNYX_BASE_URL would send the API key unencrypted to {host}: use https://, or set"
        " GATEWAY_UPSTREAM_PLAINTEXT=allowed if the network is private"
    ]


def _callers_of_no_file(given: Mapping[str, str]) -> list[str]:
    return [
        f"{name}=callers requires GATEWAY_CALLERS, which says who they are"
        for name in ("GATEWAY_REFLECTION", "GATEWAY_HEALTH")
        if given.get(name, "").lower() == "callers" and "GATEWAY_CALLERS" not in given
    ]
