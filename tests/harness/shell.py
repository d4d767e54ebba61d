"""A shell that runs the commands of a page, block by block, in an empty folder."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path


def blocks_of(page: str) -> list[str]:
    """Return the commands of a page, or of a part of one."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


class Shell:
    """Runs each block in a shell of its own; the programs of this environment are found."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self._env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            # What pages leave at its default, of which a machine of tests has several.
            "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
            "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
            "HOME": str(folder),
            **env,
        }
        self._running: list[subprocess.Popen[bytes]] = []

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
