"""A folder that looks like a clone of the repository, in which a page's commands run.

The addresses that pages name are the defaults, of which a machine of tests has several: each is
replaced by a free one. Nothing else is changed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

from tests.harness.ports import free_port
from tests.harness.process import ROOT, environment

# A command that is not there yet after so long will not come, in seconds.
PATIENCE_S = 60

# What a clone has that commands of pages use, without what tests and tools make in it.
_PARTS = ("protos", "third_party", "examples", "docs/service-config")
_LINKED = ("gateway", "generated", "buf.yaml", "Makefile", "pyproject.toml", "requirements.lock")
_MADE = ("gen", "dist", "target", "node_modules", "__pycache__")

# Programs that do not take a gateway's address from a setting, as servers do.
_CLIENTS = "call|tail|list|describe"

_PROGRAM = """\
#!/bin/bash
if [[ "$1" =~ ^({clients})$ && " $* " != *" --address "* ]]; then
  exec {python} -m gateway "$1" --address {address} "${{@:2}}"
fi
if [[ "$1" == sandbox ]]; then
  exec {python} -m gateway sandbox --port {port} "${{@:2}}"
fi
exec {python} -m gateway "$@"
"""


# What a reader's shell would still have: the folder, variables and functions.
_KEEP = """\
{{ declare -p | grep -E '^declare -(-|x) '; declare -fp; echo "cd '$PWD'"; }} > {0}
"""


class Stage:
    """Runs the blocks of one page, each in a shell that begins where the one before has ended.

    The first begins in `folder`, which is the clone unless somebody sets another one.
    """

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.clone.mkdir(parents=True)
        self.folder = self.clone
        for name in _PARTS:
            shutil.copytree(ROOT / name, self.clone / name, ignore=_made)
        self._ports = {it: free_port() for it in ("50051", "8080", "9080", "8081")}
        # The address that programs have as their default, too.
        for program in (self.clone / "examples").rglob("*.py"):
            program.write_text(self.own(program.read_text()))
        for name in _LINKED:
            (self.clone / name).symlink_to(ROOT / name)
        self._programs = self.clone / ".venv" / "bin"
        self._programs.mkdir(parents=True)
        (self._programs.parent / "ready").touch()
        address = self.own("127.0.0.1:50051")
        own = _PROGRAM.format(
            clients=_CLIENTS, python=sys.executable, address=address, port=self._ports["8081"]
        )
        self._program("telnyx-gateway", own)
        for name in ("python", "python3"):
            self._program(name, f'#!/bin/bash\nexec {sys.executable} -u "$@"\n')
        beside = Path(sys.executable).parent
        self._env = environment(
            PATH=f"{self._programs}:{beside}:/usr/local/go/bin:{os.environ['PATH']}",
            HOME=str(folder),
            REPOSITORY=str(self.clone),
            GATEWAY_GRPC_ADDRESS=address,
            GATEWAY_HTTP_ADDRESS=self.own("127.0.0.1:8080"),
            GATEWAY_ADMIN_ADDRESS=self.own("127.0.0.1:9080"),
        )
        self._state = folder / "state.sh"
        self._state.write_text("")
        self._running: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []

    def own(self, text: str) -> str:
        """Return a text of a page with this stage's own addresses."""
        return re.sub(
            r"\b(127\.0\.0\.1|localhost):(50051|8080|9080|8081)\b",
            lambda it: f"{it[1]}:{self._ports[it[2]]}",
            text,
        )

    def run(self, text: str) -> "tuple[int, str]":
        """Run commands to their end; returns the exit code, and all that they said."""
        done = self._begun(text)
        try:
            said, _ = done.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            _kill(done)
            raise
        return done.returncode, said

    def start(self, text: str, until: str) -> str:
        """Run commands that go on, until a line fits; returns what they said up to there."""
        running = self._begun(text)
        self._running.append(running)
        assert running.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, _kill, [running])
        watchdog.start()
        said, began = "", monotonic()
        for line in running.stdout:
            said += line
            if re.search(until, line):
                watchdog.cancel()
                # Nobody may be kept waiting by a full pipe.
                self._readers.append(threading.Thread(target=running.stdout.read))
                self._readers[-1].start()
                return said
        watchdog.cancel()
        raise AssertionError(f"no line {until!r} in {monotonic() - began:.0f} s:\n{said}")

    def python(self, text: str) -> str:
        """Return the command that runs a program."""
        path = self.clone.parent / "program.py"
        path.write_text(self.own(text))
        return f"python {path}"

    def close(self) -> None:
        """End what goes on."""
        for running in self._running:
            _kill(running)
            running.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        for running in self._running:
            assert running.stdout is not None
            running.stdout.close()

    def _begun(self, text: str) -> "subprocess.Popen[str]":
        script = f"source {self._state}\n{self.own(text)}\n{_KEEP.format(self._state)}"
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)


def _made(folder: str, names: list[str]) -> set[str]:
    """What tools have made in a folder of sources."""
    return {it for it in names if it in _MADE}


def _kill(running: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(running.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
