"""A gateway that runs as its container does, without a container engine.

What the kernel does for a container is asked of it directly: namespaces of its own for mounts,
processes and the network, a root that is read-only, a user that is nobody, no capabilities, no new
privileges, a limit on memory. What an engine adds (a seccomp profile, the base image's own files)
is not there.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType

from tests.deploy.image import ROOT, Image
from tests.deploy.limits import MemoryLimit

MAX_WAIT_S = 30


def unprivileged(image: Image, env: dict[str, str]) -> list[str]:
    """What makes a command the image's: its user, its environment and no rights at all."""
    return [
        "/usr/bin/setpriv",
        f"--reuid={image.user}",
        f"--regid={image.group}",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items())),
    ]


class Container:
    """Runs from construction on; use as a context manager.

    `written` has the folders that may be written to, by where they are in the container, `read`
    those that may not. The rest of its root cannot be written to at all.
    """

    def __init__(
        self,
        image: Image,
        env: dict[str, str],
        read: dict[Path, str],
        written: dict[Path, str],
        folder: Path,
        memory: MemoryLimit,
    ) -> None:
        self._image = image
        self._env = {**image.env, **env}
        root = folder / "root"
        root.mkdir()
        wanted = {
            "root": str(root),
            "folder": image.folder,
            "read": {str(source): target for source, target in read.items()},
            "written": {str(source): target for source, target in written.items()},
            "command": [*unprivileged(image, self._env), *image.command],
        }
        self._unshare = subprocess.Popen(
            [
                *memory.wrapped(),
                *("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork"),
                *(sys.executable, "-m", "tests.deploy.launch", json.dumps(wanted)),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._lines: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._unshare.stderr is not None
        for line in self._unshare.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: str) -> str:
        """Wait for a line of the log."""
        while True:
            try:
                line = self._lines.get(timeout=MAX_WAIT_S)
            except Empty:
                line = None
            assert line is not None, f"no line {pattern!r} in:\n{''.join(self.log)}"
            self.log.append(line)
            if re.search(pattern, line):
                return line

    @property
    def pid(self) -> int:
        """The gateway's, as this side of its namespace sees it."""
        (child,) = self._children()
        return child

    def _children(self) -> list[int]:
        parent = self._unshare.pid
        return [*map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]

    def status(self, name: str) -> str:
        """A line of the kernel's account of the gateway (proc_pid_status(5))."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\t(.*)$", text, re.MULTILINE)
        assert found
        return found[1]

    def run(
        self, *command: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as the gateway itself runs."""
        return subprocess.run(
            [
                *("nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root"),
                f"--wd=/proc/{self.pid}/cwd",
                *unprivileged(self._image, self._env),
                *command,
            ],
            capture_output=True,
            text=True,
            timeout=MAX_WAIT_S,
            check=False,
        )

    def visit(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a client of the gateway: a process that shares nothing with it but its network."""
        return subprocess.Popen(
            [
                *("nsenter", f"--target={self.pid}", "--net"),
                *(sys.executable, "-m", "tests.deploy.visitor", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def terminate(self) -> int:
        """Send what an engine sends; returns the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self._unshare.wait(MAX_WAIT_S)

    def __enter__(self) -> "Container":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._unshare.poll() is None:
            # With the first process of a namespace all of it is killed.
            for child in self._children():
                os.kill(child, signal.SIGKILL)
            self._unshare.wait(MAX_WAIT_S)
        if self._unshare.stderr is not None:
            self._unshare.stderr.close()


def written_below(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file below some folders, with its size and when it was changed last."""
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            stat = path.lstat()
            found[str(path)] = (0 if path.is_dir() else stat.st_size, stat.st_mtime_ns)
    return found


def secrets_folder(folder: Path, group: int, **secrets: str) -> Path:
    """A folder as a Secret is mounted: readable by root and, by `fsGroup`, by the gateway."""
    folder.mkdir(mode=0o750)
    os.chown(folder, 0, group)
    for name, text in secrets.items():
        path = folder / name.replace("_", "-")
        path.write_text(text)
        path.chmod(0o440)
        os.chown(path, 0, group)
    return folder


def owned(folder: Path, user: int, mode: int = 0o700) -> Path:
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, user, user)
    return folder
