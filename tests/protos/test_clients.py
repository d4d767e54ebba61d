"""The protos as clients in other languages meet them: a clone, a generator, other protos beside."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import google.api
import pytest
from google.protobuf import descriptor_pb2

from conferencing.v1 import access_pb2, effects_pb2, keys_pb2, rest_pb2
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tests.harness.descriptors import pool_of_files

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos" / "conferencing" / "v1").glob("*.proto"))
GOOGLEAPIS = ROOT / "third_party" / "googleapis"
BUF = Path(sys.executable).with_name("buf")

# protobuf gives these out or leaves them to every organization by itself.
NUMBERS_OF_OTHERS = range(100_000)


def file_options(proto: Path) -> dict[str, str]:
    return dict(re.findall(r"^option (\w+) = (.+);$", proto.read_text(), re.MULTILINE))


def clone_in(folder: Path) -> Path:
    """What a clone has of the protos, and nothing that `make` makes."""
    for name in ("protos", "third_party"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "buf.yaml", folder)
    return folder


@pytest.mark.parametrize("proto", PROTOS, ids=lambda it: it.name)
def test_every_file_says_what_each_languages_generator_asks_for(proto: Path) -> None:
    outer = "".join(word.capitalize() for word in proto.stem.split("_")) + "Proto"

    assert file_options(proto) == {
        "csharp_namespace": '"Conferencing.V1"',
        "go_package": '"telnyx-grpc-gateway.invalid/conferencing/v1;conferencingv1"',
        "java_multiple_files": "true",
        "java_outer_classname": f'"{outer}"',
        "java_package": '"conferencing.v1"',
        "objc_class_prefix": '"CVX"',
        "php_metadata_namespace": r'"Conferencing\\V1\\Metadata"',
        "php_namespace": r'"Conferencing\\V1"',
        "ruby_package": '"Conferencing::V1"',
        "swift_prefix": '"Conferencing_V1_"',
    }


def test_buf_generates_and_lints_in_a_clone_in_which_nothing_was_made(tmp_path: Path) -> None:
    clone = clone_in(tmp_path)
    template = {
        "version": "v2",
        "inputs": [{"directory": "protos"}],
        "plugins": [
            {
                "protoc_builtin": "python",
                "protoc_path": [sys.executable, "-m", "grpc_tools.protoc"],
                "out": "stubs",
            }
        ],
    }

    for arguments in (["generate", "--template", json.dumps(template)], ["lint"]):
        result = subprocess.run(
            [BUF, *arguments], cwd=clone, capture_output=True, text=True, timeout=120, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr

    made = {path.name for path in (clone / "stubs").rglob("*.py")}
    assert made == {f"{proto.stem}_pb2.py" for proto in PROTOS}


def test_the_protos_of_others_are_those_of_the_installed_package() -> None:
    committed = sorted(path for path in GOOGLEAPIS.rglob("*.proto"))

    assert [str(path.relative_to(GOOGLEAPIS)) for path in committed] == [
        "google/api/annotations.proto",
        "google/api/field_behavior.proto",
        "google/api/http.proto",
    ]
    (installed,) = google.api.__path__
    for path in committed:
        assert path.read_bytes() == (Path(installed) / path.name).read_bytes(), path
    assert "Apache License" in (GOOGLEAPIS / "LICENSE").read_text()


OPTIONS: dict[str, Any] = {
    name: option
    for file in (access_pb2, effects_pb2, keys_pb2, rest_pb2)
    for name, option in file.DESCRIPTOR.extensions_by_name.items()
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_options_number_is_drawn_by_hash_out_of_nobodys_range(name: str) -> None:
    option = OPTIONS[name]
    first = int.from_bytes(hashlib.sha256(option.full_name.encode()).digest()[:8], "big")

    assert option.number == 100_000 + first % (2**29 - 100_000)
    assert option.number not in NUMBERS_OF_OTHERS


def test_protos_that_use_the_numbers_of_private_options_can_be_linked_beside_ours() -> None:
    pool = pool_of_files(service.file for service in (*COMMAND_SERVICES, EVENT_SERVICE))
    other = descriptor_pb2.FileDescriptorProto(
        name="acme/options.proto",
        package="acme",
        syntax="proto3",
        dependency=["google/protobuf/descriptor.proto"],
    )
    options = OPTIONS.values()
    kinds = sorted({option.containing_type.full_name for option in options})
    for kind in kinds:
        for number in (50_000, 51_001, 51_002, 99_999):
            other.extension.add(
                name=f"{kind.rpartition('.')[2].lower()}_{number}",
                number=number,
                label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
                type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
                extendee=f".{kind}",
            )

    pool.AddSerializedFile(other.SerializeToString())

    # Looking a number up is what makes a pool notice that it has it twice.
    for kind in kinds:
        message = pool.FindMessageTypeByName(kind)
        assert pool.FindExtensionByNumber(message, 51_001).full_name.startswith("acme.")
    assert len(kinds) == 4
