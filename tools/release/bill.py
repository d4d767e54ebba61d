"""The bill of materials: what is installed with a release, in CycloneDX's form.

Its packages are those of the image, by name, version and hashes. Each has the licence that its
metadata names.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from tools.release.licences import licences_of

LOCK = Path("deploy/requirements.lock")

_COMMENT = re.compile(r"^\s*#.*\n?", re.MULTILINE)
_ENTRY = re.compile(r"\n(?=\S)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of(root: Path, name: str, version: str, made_at: datetime) -> str:
    """Return the bill of a release as JSON. The same lock file and time give the same text.

    Raises ValueError for a line of the lock file that is no package with a version and hashes.
    """
    released = _component(name, version, (), ComponentType.APPLICATION)
    bom = Bom(
        components=list(_packages((root / LOCK).read_text())),
        serial_number=uuid5(NAMESPACE_URL, str(released.purl)),
        metadata=BomMetaData(component=released, timestamp=made_at),
    )
    bom.register_dependency(released, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _packages(lock: str) -> Iterator[Component]:
    for entry in _ENTRY.split(_COMMENT.sub("", lock).strip()):
        requirement = Requirement(entry.partition("\\")[0].strip())
        pins = [it.version for it in requirement.specifier if it.operator == "=="]
        hashes = _HASH.findall(entry)
        if len(pins) != 1 or not hashes:
            raise ValueError(f"{LOCK}: {requirement} has no version or no hashes")
        yield _component(requirement.name, pins[0], hashes, ComponentType.LIBRARY)


def _component(name: str, version: str, hashes: Iterable[str], kind: ComponentType) -> Component:
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", name=name, version=version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=it) for it in hashes],
        licenses=_licences(name),
    )


def _licences(name: str) -> Iterator[License]:
    """Yield what a package says of its licence, none if it is not installed on this system."""
    with suppress(metadata.PackageNotFoundError):
        for said in sorted(licences_of(name)):
            yield LicenseFactory().make_from_string(said)
