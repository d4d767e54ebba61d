"""The README against the code it describes."""

import re
from pathlib import Path

from gateway.config import Settings, names
from gateway.ports import PORTS
from gateway.sandbox import SandboxSettings
from gateway.schema.event_types import payload_fields
from gateway.schema.services import COMMAND_SERVICES

ROOT = Path(__file__).parents[1]
DEFAULTS_IN_WORDS = {
    "TELNYX_API_KEY": "required",
    "TELNYX_PUBLIC_KEY": "required",
    "GATEWAY_CALLERS": "unset",
    "GATEWAY_HEDGE_AFTER": "unset",
    "GATEWAY_REPLICA": "unset",
    "GATEWAY_UPSTREAM_PROXY": "unset",
    "GATEWAY_UPSTREAM_CA": "unset",
    "GATEWAY_WEBHOOK_URL": "unset",
    "GATEWAY_BUFFERS": "unset",
    **{it: "unset" for it in names() if it.startswith("GATEWAY_NATS_")},
    **{it: "unset" for port in PORTS for it in (port.cert, port.key, port.client_ca)},
}
README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_table_with_its_default_and_meaning() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", README, re.MULTILINE)

    documented = {name: (default.strip("`*"), text) for name, default, text in rows}
    actual = {
        str(field.alias): (
            DEFAULTS_IN_WORDS.get(str(field.alias), str(field.default)),
            str(field.description),
        )
        for field in Settings.model_fields.values()
    }
    assert documented == actual


def test_it_counts_what_there_is() -> None:
    text = " ".join(README.split())
    counts = {service.name: len(service.methods) for service in COMMAND_SERVICES}

    shown = re.search(r"`ConferenceService` \((\d+) RPCs\), `QueueService` \((\d+)\)", text)
    assert shown is not None
    assert dict(zip(counts, map(int, shown.groups()), strict=True)) == counts
    assert re.findall(r"All (\d+) conference and queue op", text) == [f"{sum(counts.values())}"]
    types = re.findall(r"(?:All|The) (\d+) (?:webhooks|types of)", text)
    assert types == [f"{len(payload_fields())}"]


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z]+) ", README)) - {"of"} <= targets


def test_every_room_it_names_exists() -> None:
    tree = README.split("```text drawing\nprotos/")[1].split("```")[0]
    for name in re.findall(r"^  (\S+)", tree, re.MULTILINE):
        assert (ROOT / "gateway" / name).exists(), name


def test_the_calls_it_names_exist_in_the_sandbox() -> None:
    for call in re.findall(r"v3:sandbox-\w+", README):
        assert call in SandboxSettings().calls
