"""The templates in clients/, those that no test can run among them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.harness.toolchain import README, ROOT, block, checkout

CLIENTS = ROOT / "clients"
TEMPLATES = sorted(CLIENTS.glob("*/buf.gen*.yaml"))
BUF = Path(sys.executable).with_name("buf")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda it: str(it.relative_to(CLIENTS)))
def test_a_template_reads_our_protos_and_writes_into_an_ignored_folder(template: Path) -> None:
    config = yaml.safe_load(template.read_text())

    (source,) = config["inputs"]
    assert (template.parent / source["directory"]).resolve() == ROOT / "protos"
    outs = {it["out"] for it in config["plugins"]}
    assert outs <= {"gen", "gen-es"}
    # A plugin of buf's registry could not be pinned, nor run without its service.
    assert not [it for it in config["plugins"] if "remote" in it]


def test_every_language_of_clients_is_in_the_readme_and_has_a_template() -> None:
    folders = {it.name for it in CLIENTS.iterdir() if it.is_dir()}

    assert folders >= {it.parent.name for it in TEMPLATES} | {"rust"}
    assert [
        it
        for it in folders
        if f"clients/{it}" not in README.read_text()
        and f"{it}/buf.gen.yaml" not in README.read_text()
    ] == []


def test_the_project_for_dotnet_names_folders_that_exist() -> None:
    project = ElementTree.parse(CLIENTS / "csharp" / "Conferencing.csproj").getroot()

    root = (CLIENTS / "csharp" / (project.findtext(".//Root") or "")).resolve()
    (protobuf,) = project.findall(".//Protobuf")
    named = [value.replace("$(Root)", str(root)) for value in protobuf.attrib.values()]
    assert [it for it in named[:3] if not Path(it.removesuffix("/*.proto")).is_dir()] == []
    packages = {it.attrib["Include"] for it in project.findall(".//PackageReference")}
    assert {"Google.Api.CommonProtos", "Grpc.Tools"} <= packages


def test_gradle_and_maven_use_the_same_versions() -> None:
    maven = (CLIENTS / "java" / "pom.xml").read_text()
    gradle = (CLIENTS / "java" / "build.gradle.kts").read_text()

    properties = dict(re.findall(r"<(\w+)\.version>([\d.]+)<", maven))
    (common,) = re.findall(r"proto-google-common-protos</artifactId>\s+<version>([\d.]+)<", maven)
    assert set(re.findall(r'"com\.google\.protobuf:[\w-]+:([\d.]+)"', gradle)) == {
        properties["protobuf"]
    }
    assert set(re.findall(r'"io\.grpc:[\w-]+:([\d.]+)"', gradle)) == {properties["grpc"]}
    assert f"proto-google-common-protos:{common}" in gradle


OWN = """\
syntax = "proto3";

package acme.v1;

import "conferencing/v1/event.proto";

message Note {
  conferencing.v1.Event event = 1;
}
"""


def test_protos_of_others_import_ours_in_a_workspace_of_their_own(tmp_path: Path) -> None:
    vendored = tmp_path / "vendor" / "conferencing"
    vendored.parent.mkdir()
    shutil.move(checkout("buf"), vendored)
    (tmp_path / "protos" / "acme" / "v1").mkdir(parents=True)
    (tmp_path / "protos" / "acme" / "v1" / "note.proto").write_text(OWN)
    (tmp_path / "buf.yaml").write_text(block("Protos of yours that import these", "yaml"))

    built = subprocess.run(
        [BUF, "build", "-o", "image.binpb"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert built.returncode == 0, built.stderr
