"""The gateway as its container runs it: the image's environment, user and command, nothing more."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import Container, owned, secrets_folder, written_below
from tests.deploy.image import build, image
from tests.deploy.limits import memory_limit
from tests.deploy.manifests import container as pod_container
from tests.deploy.manifests import environment, pod
from tests.harness.needs import as_root, on_linux
from tests.harness.webhooks import Signer

pytestmark = [pytest.mark.slow, as_root, on_linux]

IMAGE = image()
GIB = 2**30

# What is not to be found in a container that has no provider.
ALONE = {
    "TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
    "GATEWAY_BACKFILL": "off",
    "GATEWAY_UPSTREAM_PROBE": "off",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has in `/opt`."""
    return build(tmp_path_factory.mktemp("image"))


class Place:
    """What is mounted into a container, and the folders that it writes to."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder = folder
        self.data = owned(folder / "data", IMAGE.user)
        secrets = secrets_folder(
            folder / "secrets", IMAGE.group, api_key="KEY0123\n", public_key=Signer().public_key
        )
        mounts = {it["name"]: it["mountPath"] for it in pod_container()["volumeMounts"]}
        self.read = {built / "gateway": "/opt/gateway", secrets: mounts["secrets"]}
        if not sys.base_prefix.startswith("/usr"):
            self.read[Path(sys.base_prefix)] = sys.base_prefix
        self.written = {self.data: mounts["events"]}


@pytest.fixture
def place(tmp_path: Path, built: Path) -> Place:
    return Place(tmp_path, built)


def run(place: Place) -> Iterator[Container]:
    assert pod_container()["resources"]["limits"]["memory"] == "1Gi"
    with (
        memory_limit(GIB) as memory,
        Container(
            IMAGE, {**environment(), **ALONE}, place.read, place.written, place.folder, memory
        ) as container,
    ):
        container.wait_for("gRPC on")
        yield container
    if (most := memory.most_used) is not None:
        assert most < GIB / 2


@pytest.fixture
def container(place: Place) -> Iterator[Container]:
    yield from run(place)


def said_by(visitor: "subprocess.Popen[str]") -> list[dict[str, object]]:
    out, _ = visitor.communicate(timeout=30)
    return [json.loads(line) for line in out.splitlines()]


WHERE = ("127.0.0.1:50051", "127.0.0.1:8080", "conferencing.v1.EventService")


def test_it_starts_is_healthy_takes_a_webhook_serves_a_stream_and_ends_with_0(
    container: Container,
) -> None:
    checked = container.run(*IMAGE.health_check)
    assert (checked.returncode, checked.stdout) == (0, "ok\n"), checked.stderr

    visitor = container.visit(*WHERE, "until-drained")
    assert visitor.stdout is not None
    said = [json.loads(visitor.stdout.readline()) for _ in range(3)]
    assert said == [{"health": "SERVING"}, {"stored": "event-1"}, {"event": "event-1"}]

    assert container.terminate() == 0
    assert said_by(visitor) == [{"drained": True}, {"ended": "OK"}]


def test_it_has_no_rights_at_all(container: Container) -> None:
    assert {*container.status("Uid").split()} == {str(IMAGE.user)}
    assert {*container.status("Gid").split()} == {str(IMAGE.group)}
    assert container.status("Groups").strip() == ""
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(container.status(capabilities), 16) == 0
    assert container.status("NoNewPrivs") == "1"


def test_it_is_the_first_process_so_that_signals_reach_it(container: Container) -> None:
    assert container.status("NSpid").split()[-1] == "1"
    assert container.status("Name") == "telnyx-gateway"


@pytest.mark.parametrize(
    "path", ["/", "/tmp", "/opt/gateway", "/opt/gateway/lib", "/run/secrets/gateway", "/etc"]
)
def test_nothing_can_be_written_but_its_data(container: Container, path: str) -> None:
    """So that what the other tests show was shown with a root that is read-only."""
    own = container.run("/usr/bin/touch", f"{IMAGE.folder}/written")
    other = container.run("/usr/bin/touch", f"{path}/written")

    assert own.returncode == 0, own.stderr
    assert other.returncode != 0
    assert "Read-only file system" in other.stderr or "No such file" in other.stderr


def test_it_writes_nowhere_but_into_its_data_even_where_it_could(place: Place) -> None:
    """With a root that is not read-only: what would have failed silently is seen."""
    open_to_all = {
        owned(place.folder / name, IMAGE.user, 0o777): target
        for name, target in (
            ("tmp", "/tmp"),
            ("var-tmp", "/var/tmp"),
            ("shm", "/dev/shm"),
            ("home", "/home/gateway"),
        )
    }
    place.written |= open_to_all
    before = written_below(*open_to_all)
    with memory_limit(GIB) as memory:
        env = {**environment(), **ALONE, "HOME": "/home/gateway"}
        with Container(IMAGE, env, place.read, place.written, place.folder, memory) as container:
            container.wait_for("gRPC on")
            assert said_by(container.visit(*WHERE))[-1] == {"event": "event-1"}
            assert container.terminate() == 0
            assert written_below(*open_to_all) == before
    assert {it.name.split("-")[0].split(".lock")[0] for it in place.data.iterdir()} == {"events.db"}


def test_its_pod_runs_it_as_the_image_does() -> None:
    security = pod()["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"]) == (IMAGE.user, IMAGE.group)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod_container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {it["mountPath"] for it in pod_container()["volumeMounts"]} >= {IMAGE.volume}
    assert {it["containerPort"] for it in pod_container()["ports"]} == IMAGE.ports
    assert not {"command", "args"} & {*pod_container()}


def test_without_a_word_on_who_guards_its_addresses_the_image_does_not_start(
    place: Place,
) -> None:
    env = {name: text for name, text in environment().items() if not name.endswith("_TRUST")}
    with (
        memory_limit(GIB) as memory,
        Container(
            IMAGE, {**env, **ALONE}, place.read, place.written, place.folder, memory
        ) as container,
    ):
        container.wait_for("GATEWAY_GRPC_ADDRESS opens 0.0.0.0:50051 to other hosts")
