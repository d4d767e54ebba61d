"""The licences of packages, as their metadata names them, in SPDX's words."""

import re
from importlib import metadata

# How packages name their licence where they do not use the names of SPDX.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GPL-3.0": "GPL-3.0-only",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

# Packages whose metadata has no licence: what the files that they come with say.
BY_THEIR_FILES = {
    "axe-playwright-python": "MIT",
    "promql-parser": "MIT",
    "pyreqwest": "Apache-2.0",
}


def licences_of(name: str) -> frozenset[str]:
    """Return the licences of an installed package, all those that its metadata names.

    Raises PackageNotFoundError.
    """
    about = metadata.metadata(name)
    if "License-Expression" in about:
        words = re.findall(r"[\w.-]+", about["License-Expression"])
        return frozenset(it for it in words if it not in ("AND", "OR", "WITH"))
    classifiers = about.get_all("Classifier") or ()
    said = {it.split(" :: ")[-1] for it in classifiers if it.startswith("License :: ")}
    if not said and "License" in about:
        said = {about["License"]}
    return frozenset(SPDX.get(it, it) for it in said) or frozenset(
        {BY_THEIR_FILES.get(name, "none")}
    )
