"""The compose file, against the schema of the Compose specification and against the image."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.config import Settings, file_names, load_settings, names
from tests.deploy.image import ROOT, image
from tests.deploy.manifests import GIVEN, LATE_S

COMPOSE = ROOT / "deploy" / "compose"
SCHEMA = json.loads((ROOT / "third_party" / "compose-spec" / "compose-spec.json").read_text())
SAID: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
GATEWAY: dict[str, Any] = SAID["services"]["gateway"]


def test_it_is_as_the_schema_of_compose_wants_it() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(SAID)


def test_a_slip_in_it_would_be_noticed() -> None:
    broken = {**SAID, "services": {"gateway": {**GATEWAY, "read_onli": True}}}

    with pytest.raises(jsonschema.ValidationError, match="read_onli"):
        jsonschema.Draft202012Validator(SCHEMA).validate(broken)


def test_the_gateway_has_as_few_rights_as_in_kubernetes() -> None:
    assert GATEWAY["read_only"] is True
    assert GATEWAY["cap_drop"] == ["ALL"]
    assert GATEWAY["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in GATEWAY
    assert GATEWAY["volumes"] == [f"events:{image().volume}"]


def test_what_is_published_is_for_this_machine_alone() -> None:
    for service in SAID["services"].values():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:")


def test_its_settings_are_settings_and_its_secrets_are_files() -> None:
    env = GATEWAY["environment"]
    files = {name: path for name, path in env.items() if name in file_names().values()}
    assert {*env} <= {*names(), *files}
    assert not {*env} & {*file_names()}
    plain = {name: text for name, text in env.items() if name not in files}
    load_settings({**image().env, **plain, **GIVEN})

    assert {Path(it).name for it in files.values()} == {*GATEWAY["secrets"]} == {*SAID["secrets"]}
    assert all(Path(it).parent == Path("/run/secrets") for it in files.values())
    ignored = (COMPOSE / ".gitignore").read_text()
    assert "secrets/" in ignored


def test_it_is_given_the_time_that_it_takes_to_end() -> None:
    grace_s = int(GATEWAY["stop_grace_period"].removesuffix("s"))

    assert grace_s > Settings().drain_timeout + LATE_S


def test_each_file_that_is_mounted_is_there_and_leads_to_the_gateway() -> None:
    mounted = {
        source
        for service in SAID["services"].values()
        for source in (it.partition(":")[0] for it in service["volumes"])
        if source.startswith(".")
    }
    # Rules and dashboards have folders of their own.
    assert {it for it in mounted if not (COMPOSE / it).exists()} <= {"../prometheus", "../grafana"}
    (job,) = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())["scrape_configs"]
    (static,) = job["static_configs"]
    port = GATEWAY["environment"]["GATEWAY_ADMIN_ADDRESS"].rpartition(":")[2]
    assert static["targets"] == [f"gateway:{port}"]
