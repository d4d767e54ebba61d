"""The commands of `docs/mutual-tls.md`, run as they stand there."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.envoy.front import free_port
from tests.harness.needs import with_tool
from tests.harness.readiness import until

ROOT = Path(__file__).parents[2]
PAGE, CONFIG = "docs/mutual-tls.md", "deploy/envoy/mtls.yaml"


class Shell:
    """Runs blocks of the page one after the other, in an empty folder, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self._ports = {"50050": free_port(), "50051": free_port()}
        repository = folder / "repository"
        (repository / CONFIG).parent.mkdir(parents=True)
        (repository / CONFIG).write_text(self._on_free_ports((ROOT / CONFIG).read_text()))
        page = self._on_free_ports((ROOT / PAGE).read_text())
        self.blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self._env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REPOSITORY": str(repository),
            # What the page leaves at its defaults, of which a machine of tests has several.
            "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
            "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
            "HOME": str(folder),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def _on_free_ports(self, text: str) -> str:
        return re.sub(r"\b5005[01]\b", lambda it: self._ports[it[0]], text)

    def run(self, block: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-ec", block],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, block: str) -> None:
        """Run a block that leaves something in the background."""
        assert block.endswith(" &\n")
        with (self.folder.parent / f"{len(self._running)}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    ["bash", "-ec", block + "wait"],
                    cwd=self.folder,
                    env=self._env,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def close(self) -> None:
        for it in self._running:
            os.killpg(it.pid, signal.SIGKILL)
            it.wait(20)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@with_tool("bash")
@with_tool("openssl")
def test_the_page_leads_to_a_call_that_works_and_one_that_is_refused(shell: Shell) -> None:
    certificates, callers, gateway, envoy, works, refused = shell.blocks
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
