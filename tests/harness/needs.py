"""What a test needs of the machine, for laptops: in CI it runs all the same, and then fails."""

import ctypes
import os
import shutil
import sys
from pathlib import Path

import pytest

IN_CI = bool(os.environ.get("CI"))
_CAN_MOUNT = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None

# Whether tests mount file systems.
MOUNTS = _CAN_MOUNT or IN_CI

as_root = pytest.mark.skipif(not MOUNTS, reason="mounts a file system: needs root")
on_linux = pytest.mark.skipif(
    sys.platform != "linux" and not IN_CI, reason="asks Linux's kernel, or has it do something"
)

with_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info") and not IN_CI,
    reason="has glibc count what is in use",
)

# Where it is put by default is not always where a shell looks.
GO = shutil.which("go") or "/usr/local/go/bin/go"


def with_tool(name: str) -> pytest.MarkDecorator:
    """Mark a test that runs a program: one that `.ci/run` or our own packages install."""
    beside_python = Path(sys.executable).parent / name
    missing = shutil.which(name) is None and not beside_python.exists() and not IN_CI
    return pytest.mark.skipif(missing, reason=f"runs {name}, which is not here")


with_go = pytest.mark.skipif(not Path(GO).exists() and not IN_CI, reason="builds a client in Go")
