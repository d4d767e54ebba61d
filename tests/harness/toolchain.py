"""Toolchains of other languages: the commands of a README, run as a stranger runs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.needs import GO
from tools.archive.packing import MADE

ROOT = Path(__file__).parents[2]
README = ROOT / "clients" / "README.md"

# What a toolchain fetches and builds stays here from one run to the next.
KEPT = ROOT / ".cache" / "toolchains"

# What a clone has of the protos, and what the archive has, too.
PARTS = ("protos", "third_party/googleapis")

# A new machine fetches and builds everything in a fraction of this. Rust has the most to do.
SECONDS_MAX = 600


def checkout(language: str, home: str = "clients") -> Path:
    """Return a folder with what a clone has, in which nothing is made but by this language.

    `home` is the folder of the repository that has one for each language.
    """
    folder = KEPT / (language if home == "clients" else f"{home}-{language}")
    for name in PARTS:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "buf.yaml", folder)
    template = ROOT / home / language
    if template.is_dir():
        # A project for dotnet makes `bin`; in one of cargo it has the sources of programs.
        made = shutil.ignore_patterns(*(it for it in MADE if home == "clients" or it != "bin"))
        shutil.copytree(template, folder / home / language, ignore=made, dirs_exist_ok=True)
    return folder


def block(heading: str, kind: str = "sh", readme: Path = README) -> str:
    """Return the one block of code of this kind below a heading of a README."""
    (section,) = re.findall(
        rf"^## {re.escape(heading)}\n(.+?)(?=^## |\Z)", readme.read_text(), re.MULTILINE | re.DOTALL
    )
    (found,) = re.findall(rf"^```{kind}\n(.+?)^```", section, re.MULTILINE | re.DOTALL)
    return str(found)


def run(folder: Path, script: str) -> str:
    """Run a script of the shell's; returns what it printed. Fails with all of it otherwise."""
    path = (str(Path(sys.executable).parent), os.environ["PATH"], str(Path(GO).parent))
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(path), "GOTOOLCHAIN": "local"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert result.returncode == 0, f"{script}\n{result.stdout}"
    return result.stdout


def text_of(folder: Path, pattern: str) -> str:
    """Return the text of all files that fit, of which there must be some."""
    files = sorted(folder.glob(pattern))
    assert files, f"{folder}/{pattern}"
    return "\n".join(it.read_text() for it in files)
