"""The service configs: that they are what the protos say, and say what the docs promise."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.health.assembly import Services, components_of
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tools.service_config.configs import configs, text_of

FOLDER = Path(__file__).parents[2] / "docs" / "service-config"
RPCS = {
    (service.full_name, rpc.name): rpc
    for service in (*COMMAND_SERVICES, EVENT_SERVICE)
    for rpc in service.methods
}
NOT_IDEMPOTENT = {"PlayAudio", "GatherDtmf", "SendDtmf", "CreateQueue"}


def methods(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What a config says of each RPC."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in json.loads((FOLDER / name).read_text())["methodConfig"]:
        for it in entry["name"]:
            assert (it["service"], it["method"]) not in found
            found[it["service"], it["method"]] = entry
    return found


def retried(name: str) -> set[str]:
    return {rpc for (_, rpc), entry in methods(name).items() if "retryPolicy" in entry}


def test_what_is_published_is_what_the_protos_say() -> None:
    published = {it.name: it.read_text() for it in FOLDER.iterdir()}

    assert published == {name: text_of(config) for name, config in configs().items()}


def test_every_rpc_is_in_the_configs_of_its_half() -> None:
    commands = {
        (service.full_name, it.name) for service in COMMAND_SERVICES for it in service.methods
    }

    assert set(methods("commands.json")) == set(methods("commands-with-ids.json")) == commands
    assert set(methods("events.json")) == set(RPCS) - commands


@pytest.mark.parametrize("name", sorted(configs()))
def test_only_unavailable_is_retried_and_only_streams_have_no_end(name: str) -> None:
    for key, entry in methods(name).items():
        assert ("timeout" in entry) is (not RPCS[key].server_streaming)
        if "retryPolicy" in entry:
            assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
            level = RPCS[key].GetOptions().idempotency_level
            assert level != MethodOptions.IDEMPOTENCY_UNKNOWN


def test_commands_with_an_id_are_retried_only_for_those_who_set_it() -> None:
    with_ids = {
        rpc for (_, rpc), it in RPCS.items() if "command_id" in it.input_type.fields_by_name
    }
    commands = {rpc for _, rpc in methods("commands.json")}

    assert retried("commands.json") == commands - with_ids - NOT_IDEMPOTENT
    assert retried("commands-with-ids.json") == commands - NOT_IDEMPOTENT
    assert {"GetConference", "MuteParticipants"} <= retried("commands.json")
    assert "EndConference" in with_ids - NOT_IDEMPOTENT
    assert retried("events.json") == {rpc for _, rpc in methods("events.json")}


class Well:
    key_problem = provider_problem = requests_problem = None


@pytest.mark.parametrize("name", sorted(configs()))
def test_the_health_that_is_checked_is_that_of_every_service_in_the_config(name: str) -> None:
    """A channel has one: the services it stands for must need the same components."""
    commands = frozenset(it.full_name for it in COMMAND_SERVICES)
    services = Services(commands, frozenset([EVENT_SERVICE.full_name]))
    components = components_of(
        services, lambda: None, lambda: None, lambda: None, Well(), lambda: None, lambda: None
    )
    checked = json.loads((FOLDER / name).read_text())["healthCheckConfig"]["serviceName"]

    for service in {service for service, _ in methods(name)}:
        needs = [it.name for it in components if service in it.services]
        assert needs == [it.name for it in components if checked in it.services]
