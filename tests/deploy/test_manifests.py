"""The Kubernetes manifests: against Kubernetes' own schemas, and against each other."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import file_names, load_settings, names
from gateway.schema.services import EVENT_SERVICE
from tests.deploy.image import image
from tests.deploy.manifests import (
    DEPLOY,
    GIVEN,
    KUBERNETES,
    LATE_S,
    NATS,
    Manifest,
    container,
    environment,
    manifests,
    manifests_in,
    of_kind,
    pod,
)
from tests.harness.needs import with_tool

# `sleep` as a hook before the end is from 1.30 on.
VERSIONS = ("1.30", "1.33", "1.37")

# Those of one gateway, of several, and of their servers.
EVERY = (
    *manifests(),
    *manifests_in(KUBERNETES / "replicas"),
    *manifests_in(NATS),
)

# What the Prometheus operator defines: Kubernetes has no schema of it.
OPERATORS = {"ServiceMonitor", "PrometheusRule"}

LABELS = {"app.kubernetes.io/name": "telnyx-grpc-gateway"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", EVERY, ids=lambda it: f"{it.kind}-{it.name}")
def test_each_manifest_is_as_the_schema_of_kubernetes_wants_it(
    manifest: Manifest, version: str
) -> None:
    if manifest.kind in OPERATORS:
        assert manifest.said["apiVersion"] == "monitoring.coreos.com/v1"
        return

    kubernetes_validate.validate(manifest.said, version, strict=True)


def test_a_manifest_with_a_slip_would_be_noticed() -> None:
    (found,) = of_kind("StatefulSet")
    broken: dict[str, Any] = yaml.safe_load(yaml.safe_dump(found.said))
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilegd"] = False

    with pytest.raises(kubernetes_validate.ValidationError, match="privilegd"):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("kustomization.yaml")), ids=str)
def test_a_kustomization_names_each_file_beside_it(path: Path) -> None:
    said = yaml.safe_load(path.read_text())
    beside = {it.name for it in path.parent.glob("*.yaml")} - {"kustomization.yaml"}

    patches = [it["path"] for it in said.get("patches", [])]
    assert {*said["resources"], *patches} - {"../base"} == beside


@with_tool("kubectl")
def test_kustomize_puts_all_of_it_together(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [kubernetes/base]\ncomponents: [kubernetes/monitoring]\n"
    )

    done = subprocess.run(
        ["kubectl", "kustomize", tmp_path], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    built = [*yaml.safe_load_all(done.stdout)]
    assert sorted((it["kind"], it["metadata"]["name"]) for it in built) == sorted(
        (it.kind, it.name) for it in manifests()
    )


def test_everything_that_selects_pods_selects_the_gateways() -> None:
    (stateful_set,) = of_kind("StatefulSet")
    assert stateful_set.said["spec"]["template"]["metadata"]["labels"] == LABELS
    assert stateful_set.said["spec"]["selector"]["matchLabels"] == LABELS
    for service in of_kind("Service"):
        assert service.said["spec"]["selector"] == LABELS
        assert service.said["metadata"]["labels"] == LABELS
    for kind, key in (
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
        ("ServiceMonitor", "selector"),
    ):
        (found,) = of_kind(kind)
        assert found.said["spec"][key]["matchLabels"] == LABELS
    for spread in pod()["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == LABELS


def test_every_port_that_is_named_is_one_of_the_containers() -> None:
    ports = {it["name"] for it in container()["ports"]}
    (policy,) = of_kind("NetworkPolicy")
    named = [port["targetPort"] for it in of_kind("Service") for port in it.said["spec"]["ports"]]
    named += [port["port"] for rule in policy.said["spec"]["ingress"] for port in rule["ports"]]
    named.append(container()["livenessProbe"]["httpGet"]["port"])

    assert {*named} == ports
    served = {it["name"] for service in of_kind("Service") for it in service.said["spec"]["ports"]}
    (monitor,) = of_kind("ServiceMonitor")
    assert {it["port"] for it in monitor.said["spec"]["endpoints"]} <= served


def test_the_service_of_the_stateful_set_is_there_and_headless() -> None:
    (stateful_set,) = of_kind("StatefulSet")
    services = {it.name: it.said["spec"] for it in of_kind("Service")}

    assert services[stateful_set.said["spec"]["serviceName"]]["clusterIP"] == "None"


def test_one_process_has_the_log_and_the_next_one_waits_for_it() -> None:
    (stateful_set,) = of_kind("StatefulSet")
    (claim,) = stateful_set.said["spec"]["volumeClaimTemplates"]

    assert stateful_set.said["spec"]["replicas"] == 1
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    log = image().env["GATEWAY_EVENT_LOG"].removeprefix("sqlite:///")
    mounts = {it["name"]: it["mountPath"] for it in container()["volumeMounts"]}
    assert str(Path(log).parent) == mounts[claim["metadata"]["name"]]


def test_probes_ask_for_the_feed_whatever_the_provider_does() -> None:
    for probe in ("startupProbe", "readinessProbe"):
        asked = container()[probe]["grpc"]
        assert asked["service"] == EVENT_SERVICE.full_name
        assert asked["port"] in image().ports
    assert container()["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_gateway_is_given_the_time_that_it_takes_to_end() -> None:
    drain = environment()["GATEWAY_DRAIN_TIMEOUT"]
    settings = load_settings({**GIVEN, "GATEWAY_DRAIN_TIMEOUT": drain})
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod()["terminationGracePeriodSeconds"] > pause + settings.drain_timeout + LATE_S


def test_its_settings_are_settings_and_its_secrets_are_files_that_are_mounted() -> None:
    env = environment()
    files = {name: path for name, path in env.items() if name in file_names().values()}
    assert {*env} <= {*names(), *files}
    assert not {*env} & {*file_names()}

    plain = {name: text for name, text in env.items() if name not in files}
    load_settings({**image().env, **plain, **GIVEN})

    (mount,) = [it for it in container()["volumeMounts"] if it["name"] == "secrets"]
    assert mount["readOnly"] is True
    assert {str(Path(it).parent) for it in files.values()} == {mount["mountPath"]}
    (volume,) = [it for it in pod()["volumes"] if it["name"] == "secrets"]
    # Not for everybody: `fsGroup` gives the group.
    assert volume["secret"]["defaultMode"] == 0o440
    made = (KUBERNETES / "base" / "kustomization.yaml").read_text()
    for path in files.values():
        assert f"--from-file={Path(path).name}=PATH" in made


def test_the_log_fits_into_its_volume_with_room_to_spare() -> None:
    (stateful_set,) = of_kind("StatefulSet")
    (claim,) = stateful_set.said["spec"]["volumeClaimTemplates"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    kept = environment()["GATEWAY_RETENTION_SIZE"]

    assert int(size.removesuffix("Gi")) >= 2 * int(kept.removesuffix("GiB"))
