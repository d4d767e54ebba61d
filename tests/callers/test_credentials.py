"""Credentials that are stolen, expire, are revoked, rotated or malformed: `docs/security.md` run.

One gateway in mutual TLS for all of it, which is not started anew; a call and a stream each time.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.callers.credential_cases import CASES, NO_CONNECTION, SERVED, Stage
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider

Document: TypeAlias = dict[tuple[str, str], tuple[str, str]]


def documented() -> Document:
    """What a call gets, and what becomes of a stream, by credential and by what happens."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    section = text.split("## Credentials that are stolen, expire or change\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \| (.*)\|$", section, re.MULTILINE)[2:]
    return {(it[0], it[1]): (it[2].strip("`"), it[3].strip(" `")) for it in rows}


DOCUMENTED = documented()


@pytest.fixture(scope="module")
def stage(
    loop: LoopThread, shared_provider: RecordingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("credentials")

    def start(**env: str) -> RunningGateway:
        return RunningGateway(loop, folder, shared_provider.base_url, **env)

    stage = Stage(loop, start, folder)
    yield stage
    stage.close()
    stage.gateway.close()


def test_every_case_is_in_the_document_and_every_credential_has_one_of_each() -> None:
    assert CASES.keys() == DOCUMENTED.keys()
    kinds = ("token", "certificate", "JWT", "forwarded certificate")
    fates = ("stolen", "expired", "revoked", "rotated", "malformed")
    assert {(it, fate) for it in kinds for fate in fates} <= {
        (credential, what.partition(":")[0]) for credential, what in CASES
    }


@pytest.mark.parametrize("named", CASES, ids=": ".join)
def test_a_credential_gets_what_the_document_says(stage: Stage, named: tuple[str, str]) -> None:
    call, of_stream = DOCUMENTED[named]
    steps = CASES[named](stage)
    before = next(steps)
    stream = channel = None
    if before is not None:
        channel = stage.connect(before)
        stream, begun = stage.open(before, channel)
        assert begun == SERVED

    for shown in next(steps):
        assert stage.call(shown) == call, shown.metadata
        again, begun = stage.open(shown)
        assert begun == call, shown.metadata
        again.cancel()

    assert (stage.fate(stream) if stream is not None else "") == of_stream
    if call == NO_CONNECTION and channel is not None:
        assert stage.call(before, channel) == SERVED
    assert next(steps, None) is None
