"""The scenarios that come with the package, and those in files."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from gateway.sandbox.scenario.problems import ScenarioError, likely
from gateway.sandbox.scenario.reading import read_script
from gateway.sandbox.scenario.script import Script

_ENDING = ".toml"


def shipped_names() -> Sequence[str]:
    """Return the names of the scenarios of the package."""
    files = resources.files("gateway.sandbox.scenario").joinpath("shipped").iterdir()
    return sorted(it.name.removesuffix(_ENDING) for it in files if it.name.endswith(_ENDING))


def shipped_script(name: str) -> Script:
    """Return a scenario of the package. Raises KeyError if it has none of this name."""
    if name not in shipped_names():
        raise KeyError(name)
    file = f"{name}{_ENDING}"
    folder = resources.files("gateway.sandbox.scenario").joinpath("shipped")
    return read_script(folder.joinpath(file).read_text(encoding="utf-8"), file)


def script_of(name: str) -> Script:
    """Return the scenario that a name or a file's path stands for. Raises ScenarioError.

    Names of the package go first; a file of the same name is found as `./name`.
    """
    if name in shipped_names():
        return shipped_script(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScenarioError([f"{name}: is not a text in UTF-8"]) from None
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"no file ({reason}), and no scenario of the package: "
        raise ScenarioError([f"{name}: {hint}{likely(name, shipped_names())}"]) from None
    return read_script(text, name)
