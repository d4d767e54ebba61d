"""Several gateways and their NATS servers in Kubernetes: what kustomize puts together."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from gateway.config import file_names, load_settings, names
from gateway.values import StreamUrl
from tests.deploy.image import image
from tests.deploy.manifests import GIVEN, KUBERNETES, NATS, built
from tests.deploy.test_manifests import VERSIONS
from tests.harness.needs import with_tool

pytestmark = with_tool("kubectl")

GATEWAYS, SERVERS = KUBERNETES / "replicas", NATS


def spec_of(folder: Path, kind: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = built(folder)[f"{kind} {name}"]["spec"]
    return spec


@pytest.fixture(scope="module")
def gateways() -> dict[str, Any]:
    return spec_of(GATEWAYS, "StatefulSet", "telnyx-gateway")


@pytest.fixture(scope="module")
def servers() -> dict[str, Any]:
    return spec_of(SERVERS, "StatefulSet", "nats")


def container(stateful_set: dict[str, Any]) -> dict[str, Any]:
    (found,) = stateful_set["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def env(stateful_set: dict[str, Any]) -> dict[str, str]:
    return {it["name"]: it.get("value", "") for it in container(stateful_set)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", [GATEWAYS, SERVERS], ids=lambda it: it.name)
def test_what_is_put_together_is_as_the_schema_of_kubernetes_wants_it(
    folder: Path, version: str
) -> None:
    for document in built(folder).values():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_gateways_settings_are_settings_and_their_files_are_mounted(
    gateways: dict[str, Any], tmp_path: Path
) -> None:
    given = env(gateways)
    files = {name: path for name, path in given.items() if name in file_names().values()}
    assert {*given} <= {*names(), *files}
    mounts = {it["name"]: it["mountPath"] for it in container(gateways)["volumeMounts"]}
    for name in ("GATEWAY_NATS_LOGIN", "GATEWAY_NATS_TLS_CA"):
        assert str(Path(given[name]).parent) == mounts["nats"]
        assert (
            f"--from-file={Path(given[name]).name}=PATH"
            in (GATEWAYS / "kustomization.yaml").read_text()
        )
        # It is not on this machine.
        given[name] = str(tmp_path / name)
        Path(given[name]).write_text("x")

    plain = {name: text for name, text in given.items() if name not in files}
    settings = load_settings({**image().env, **plain, **GIVEN})

    assert str(settings.index.parent) == mounts["events"]
    assert settings.upstream_share * gateways["replicas"] == 1


def test_gateways_name_the_servers_as_they_are_called_and_may_reach_them(
    gateways: dict[str, Any], servers: dict[str, Any]
) -> None:
    ports = {it["name"]: it["containerPort"] for it in container(servers)["ports"]}
    expected = [
        f"nats-{number}.{servers['serviceName']}:{ports['client']}"
        for number in range(servers["replicas"])
    ]
    read = load_settings({**GIVEN, "GATEWAY_EVENT_LOG": env(gateways)["GATEWAY_EVENT_LOG"]})
    assert isinstance(read.event_log, StreamUrl)
    assert (list(read.event_log.servers), read.event_log.is_tls) == (expected, True)
    service = spec_of(SERVERS, "Service", servers["serviceName"])
    assert service["clusterIP"] == "None"

    labels = gateways["template"]["metadata"]["labels"]
    (rule,) = spec_of(GATEWAYS, "NetworkPolicy", "telnyx-gateway-nats")["egress"]
    assert rule["ports"] == [{"port": ports["client"]}]
    (to,) = rule["to"]
    assert to["podSelector"]["matchLabels"] == servers["template"]["metadata"]["labels"]
    let_in = spec_of(SERVERS, "NetworkPolicy", "nats")["ingress"][0]
    assert let_in["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert let_in["ports"] == [{"port": "client"}]


def test_one_of_each_is_replaced_at_a_time(
    gateways: dict[str, Any], servers: dict[str, Any]
) -> None:
    for folder, name in ((GATEWAYS, "telnyx-gateway"), (SERVERS, "nats")):
        budget = spec_of(folder, "PodDisruptionBudget", name)
        assert budget["maxUnavailable"] == 1
    for stateful_set in (gateways, servers):
        assert stateful_set["replicas"] == 3
        assert "updateStrategy" not in stateful_set, "one after the other, by default"
        assert "readinessProbe" in container(stateful_set)


def test_the_servers_have_as_few_rights_as_the_gateways(
    gateways: dict[str, Any], servers: dict[str, Any]
) -> None:
    one, other = (container(it)["securityContext"] for it in (gateways, servers))
    assert one == other
    pods = [it["template"]["spec"] for it in (gateways, servers)]
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440


def test_the_servers_are_given_the_configurations_that_are_tested(servers: dict[str, Any]) -> None:
    documents = built(SERVERS)
    (config,) = [it for name, it in documents.items() if name.startswith("ConfigMap nats")]
    for name, text in config["data"].items():
        assert text == (NATS / name).read_text()
    assert container(servers)["args"] == ["--config", "/etc/nats/cluster.conf"]
    assert {it["name"] for it in container(servers)["env"]} == {
        "NATS_NAME",
        "GATEWAY_PASSWORD",
        "OPERATOR_PASSWORD",
    }
