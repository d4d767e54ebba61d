"""One target under Atheris: `python -m tests.fuzz.one TARGET FOLDER [OPTION ...]`."""

import logging
import sys

import atheris

with atheris.instrument_imports(include=["gateway", "jwt", "tomllib"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    _, name, *options = sys.argv
    logging.disable()
    (target,) = (it for it in TARGETS if it.name == name)
    atheris.Setup([sys.argv[0], *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
