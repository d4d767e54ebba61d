"""The programs of examples/, each built as the page of its language says."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.harness.needs import GO
from tests.harness.process import ROOT, environment
from tests.harness.toolchain import block, checkout, run

DOCS = ROOT / "docs"
CONFIG = ROOT / "docs" / "service-config" / "commands-with-ids.json"

# What says that all of a folder was built of the files that it has now.
_STAMP = ".built"


@dataclass(frozen=True)
class Program:
    """The two programs of a language, of which these files and words are the command lines.

    `{here}` in them is the language's folder.
    """

    heading: str
    folder: str
    tools: tuple[str, ...]
    speak: tuple[str, ...]
    follow: tuple[str, ...]

    @property
    def page(self) -> Path:
        """The page about the language."""
        return DOCS / f"{self.folder}.md"

    def missing(self) -> list[str]:
        """Which of its tools this machine has not."""
        return [it for it in self.tools if shutil.which(it) is None]

    def build(self) -> "Built":
        """Build what has changed since it was last built. Fails with all that a tool said."""
        if not self.tools:
            return Built(self, ROOT)
        root = checkout(self.folder, "examples")
        here, script = root / "examples" / self.folder, block("Build", readme=self.page)
        stamp, digest = root / _STAMP, _digest(root, here, script)
        if not stamp.exists() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)
            run(root, script)
            stamp.write_text(digest)
        return Built(self, here)


@dataclass(frozen=True)
class Built:
    """Programs that can be run."""

    program: Program
    here: Path

    def speak(self, address: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the command program to its end."""
        return subprocess.run(
            [*self._words(self.program.speak), *_at(address), "--service-config", CONFIG, *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def follow(self, address: str, *words: str, said: Path) -> "subprocess.Popen[bytes]":
        """Start a subscriber; all that it says is added to a file."""
        with said.open("ab") as output:
            return subprocess.Popen(
                [*self._words(self.program.follow), *_at(address), *words],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _words(self, words: Sequence[str]) -> list[str]:
        return [it.replace("{here}", str(self.here)) for it in words]


def _at(address: str) -> tuple[str, str]:
    return ("--address", address)


def _digest(root: Path, here: Path, script: str) -> str:
    """What the build depends on: the commands, the protos, and what is committed."""
    digest = sha256(script.encode())
    committed = ROOT / "examples" / here.name
    for folder in (root / "protos", root / "third_party", here):
        for path in sorted(it for it in folder.rglob("*") if it.is_file()):
            if folder != here or (committed / path.relative_to(here)).exists():
                digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


PYTHON = Program(
    "Python",
    "python",
    (),
    (sys.executable, "-m", "examples.python.speak"),
    (sys.executable, "-m", "examples.python.follow"),
)
_GO = Program(
    "Go",
    "go",
    (GO,),
    ("{here}/example", "speak"),
    ("{here}/example", "follow"),
)

_CLASSPATH = ("java", "-cp", "{here}/target/classes:{here}/target/lib/*")

_JAVA = Program(
    "Java",
    "java",
    ("mvn",),
    (*_CLASSPATH, "example.Speak"),
    (*_CLASSPATH, "example.Follow"),
)

_NODE = Program(
    "Node",
    "node",
    ("npm",),
    ("node", "{here}/dist/src/speak.js"),
    ("node", "{here}/dist/src/follow.js"),
)

_RUST = Program(
    "Rust",
    "rust",
    ("cargo", "protoc"),
    ("{here}/target/debug/speak",),
    ("{here}/target/debug/follow",),
)

PROGRAMS = {it.heading: it for it in (PYTHON, _GO, _JAVA, _NODE, _RUST)}
