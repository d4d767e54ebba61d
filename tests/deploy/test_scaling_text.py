"""The commands of `docs/scaling.md` that move a log to NATS and back, run as they stand there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY
from tests.deploy.natsconfigs import Configured
from tests.harness.nats import with_nats
from tests.harness.needs import with_tool
from tests.harness.process import GatewayProcess
from tests.harness.reading import everything, ids, replay
from tests.system.test_log_commands import serving, stop

pytestmark = [with_nats, pytest.mark.slow]

PAGE = (DEPLOY.parent / "docs" / "scaling.md").read_text()
MOVING = PAGE.split("## Moving there, and back")[1].split("\n## ")[0]


class Shell:
    """One shell for all blocks, as a reader has it, in a folder with `deploy/nats`."""

    def __init__(self, folder: Path, port: int) -> None:
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", MOVING, re.MULTILINE | re.DOTALL)
        self.blocks = [it.replace("4222", str(port)) for it in blocks]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={"PATH": path, "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, block: str) -> str:
        """Run a block; return what it prints. It must succeed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho ended $?\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.startswith("ended "):
                assert line == "ended 0\n", printed
                return printed
            printed += line
        raise AssertionError(printed)

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@with_tool("bash")
@with_tool("openssl")
def test_the_page_moves_a_log_to_a_stream_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    server = configured.single()
    folder = tmp_path / "deploy" / "nats"
    folder.parent.mkdir()
    server.folder.rename(folder)
    (folder / "nats.conf").rename(folder / "single.conf")
    (folder / "users.conf").touch()
    with serving(tmp_path, tmp_path / ".gateway" / "events.db") as gateway:
        first = gateway.webhooks.event()
        cursor = everything(gateway)[0].cursor
        stop(gateway)
    shell = Shell(tmp_path, server.port)
    try:
        servers, there, look, back = shell.blocks
        shell.run(servers)
        shell.run(f"until (echo > /dev/tcp/127.0.0.1/{server.port}); do sleep 0.05; done")
        assert "1 events, numbers 1 to 1, moved from" in shell.run(there)
        assert "no fault was found" in shell.run(look)
        with GatewayProcess(
            tmp_path,
            GATEWAY_EVENT_LOG=f"nats://127.0.0.1:{server.port}/EVENTS",
            GATEWAY_NATS_LOGIN="gateway.login",
        ) as gateway:
            second = gateway.webhooks.event()
            assert ids(replay(gateway, after_cursor=cursor)) == [second]
            stop(gateway)
        assert "2 events, numbers 1 to 2, moved from" in shell.run(back)
    finally:
        shell.close()
    with serving(tmp_path, tmp_path / ".gateway" / "back.db") as gateway:
        assert ids(everything(gateway)) == [first, second]
        assert ids(replay(gateway, after_cursor=cursor)) == [second]
