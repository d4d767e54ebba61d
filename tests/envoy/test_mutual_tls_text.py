"""The commands of `docs/mutual-tls.md`, run as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import with_tool
from tests.harness.ports import free_port
from tests.harness.readiness import until
from tests.harness.shell import Shell, blocks_of

ROOT = Path(__file__).parents[2]
PAGE, CONFIG = "docs/mutual-tls.md", "deploy/envoy/mtls.yaml"


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ones by those of the page."""
    return {"50050": free_port(), "50051": free_port()}


def on(ports: dict[str, str], text: str) -> str:
    return re.sub(r"\b5005[01]\b", lambda it: ports[it[0]], text)


@pytest.fixture
def shell(tmp_path: Path, ports: dict[str, str]) -> Iterator[Shell]:
    repository = tmp_path / "repository"
    (repository / CONFIG).parent.mkdir(parents=True)
    (repository / CONFIG).write_text(on(ports, (ROOT / CONFIG).read_text()))
    shell = Shell(tmp_path, REPOSITORY=str(repository))
    yield shell
    shell.close()


@with_tool("bash")
@with_tool("openssl")
def test_the_page_leads_to_a_call_that_works_and_one_that_is_refused(
    shell: Shell, ports: dict[str, str]
) -> None:
    page = on(ports, (ROOT / PAGE).read_text())
    certificates, callers, gateway, envoy, works, refused = blocks_of(page)
    for block in (certificates, callers):
        done = shell.run(block)
        assert done.returncode == 0, done.stderr
    shell.start(gateway)
    shell.start(envoy)

    # `tail` waits for a gateway that is not there yet.
    until(lambda: shell.run(works).returncode == 0)
    done = shell.run(refused)
    assert done.returncode != 0
    text = " ".join((ROOT / PAGE).read_text().split())
    told = "no caller that the gateway knows has a name of the client certificate"
    assert told in done.stderr, done.stderr
    assert f"`{told}`" in text
