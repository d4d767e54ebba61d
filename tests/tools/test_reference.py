"""The reference of the API: it is what the protos say, and it has all that clients use."""

import re
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tools.archive.packing import descriptors_of
from tools.reference.pages import pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@cache
def made() -> dict[str, str]:
    return pages(descriptors_of(ROOT))


def test_the_committed_reference_is_what_the_protos_say() -> None:
    """Otherwise: `make reference`, and commit the result."""
    committed = [DOCS / "reference.md", *sorted((DOCS / "reference").iterdir())]

    assert {str(it.relative_to(DOCS)): it.read_text() for it in committed} == made()


@pytest.mark.parametrize("service", [*COMMAND_SERVICES, EVENT_SERVICE], ids=lambda it: it.name)
def test_every_rpc_is_there_with_the_fields_of_its_messages(service: object) -> None:
    text = "\n".join(made().values())
    for method in service.methods:  # type: ignore[attr-defined]
        assert f"### {method.name}\n" in text
        for message in (method.input_type, method.output_type):
            section = text.split(f"### {message.name}\n")[1].split("\n### ")[0]
            for field in message.fields:
                assert f"| `{field.name}` |" in section, f"{message.name}.{field.name}"


def test_everything_is_explained() -> None:
    for name, text in made().items():
        assert re.findall(r"^\| .*\| \|$", text, re.MULTILINE) == [], name


def test_a_comment_that_looks_like_markdown_stays_text() -> None:
    descriptors = descriptors_of(ROOT)
    event = next(it for it in descriptors.file if it.name.endswith("/queue.proto"))
    place = next(it for it in event.source_code_info.location if list(it.path) == [4, 0, 2, 0])
    place.leading_comments = " A <b>bold</b> | `a|b` [link](x) *star*.\n"

    text = pages(FileDescriptorSet(file=descriptors.file))["reference/queue.md"]

    assert r"A \<b\>bold\</b\> \| `a\|b` \[link\](x) \*star\*." in text
