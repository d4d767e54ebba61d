"""What the Kubernetes manifests say."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.harness.webhooks import Signer

# What has no default.
GIVEN = {"TELNYX_API_KEY": "KEY0123", "TELNYX_PUBLIC_KEY": Signer().public_key}

# What a drain takes beside GATEWAY_DRAIN_TIMEOUT at most, in seconds (docs/errors.md).
LATE_S = 6

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
NATS = DEPLOY / "nats"


@dataclass(frozen=True)
class Manifest:
    path: Path
    said: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.said["kind"])

    @property
    def name(self) -> str:
        return str(self.said["metadata"]["name"])


@cache
def manifests() -> tuple[Manifest, ...]:
    """All manifests of one gateway, without those that are for kustomize alone."""
    return (*manifests_in(KUBERNETES / "base"), *manifests_in(KUBERNETES / "monitoring"))


@cache
def manifests_in(folder: Path) -> tuple[Manifest, ...]:
    return tuple(
        Manifest(path, document)
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "kustomization.yaml" and not path.name.endswith(".patch.yaml")
        for document in yaml.safe_load_all(path.read_text())
    )


def built(folder: Path) -> dict[str, dict[str, Any]]:
    """What kustomize makes of a folder, each by its kind and name."""
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    documents = yaml.safe_load_all(done.stdout)
    return {f"{it['kind']} {it['metadata']['name']}": it for it in documents}


def of_kind(kind: str) -> Iterator[Manifest]:
    return (it for it in manifests() if it.kind == kind)


def pod() -> dict[str, Any]:
    """The gateway's pod."""
    (stateful_set,) = of_kind("StatefulSet")
    spec: dict[str, Any] = stateful_set.said["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    assert isinstance(found, dict)
    return found


def environment() -> dict[str, str]:
    return {it["name"]: it["value"] for it in container()["env"]}
