"""What is in the archive, and its bytes.

It has the layout of this repository, so the commands of clients/README.md are the same in both.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

# The file with all descriptors, in the archive's root.
DESCRIPTORS = "conferencing.v1.binpb"

# Files, and folders with all that is in them.
PARTS = ("LICENSE", "buf.yaml", "clients", "protos", "third_party/googleapis")

# But not what the tools of some language make there.
MADE = ("gen*", "target", "node_modules", "Cargo.lock", ".gradle", "bin", "obj")

# So that the bytes say nothing of when and by whom they were made: the first moment that zip and
# tar both can name.
_TIME_S = 315_532_800

# protoc has the well-known types beside it.
_WELL_KNOWN = Path(protoc.__file__).parent / "_proto"


def archive_of(root: Path, name: str) -> bytes:
    """Return the archive, as a gzipped tar file in which all is in a folder of this name.

    The same protos give the same bytes. Raises RuntimeError if protoc does not accept the protos.
    """
    packed = io.BytesIO()
    # No time and no name in its head either.
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        content = {str(it.relative_to(root)): it.read_bytes() for it in _files(root)}
        content[DESCRIPTORS] = descriptors_of(root).SerializeToString(deterministic=True)
        for path, data in sorted(content.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size, entry.mtime, entry.mode = len(data), _TIME_S, 0o644
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def descriptors_of(root: Path) -> FileDescriptorSet:
    """Return the descriptors of the protos and of all that they import, with comments.

    Raises RuntimeError if protoc does not accept the protos.
    """
    protos, googleapis = root / "protos", root / "third_party" / "googleapis"
    with TemporaryDirectory() as folder:
        written = Path(folder) / DESCRIPTORS
        arguments = [
            "protoc",
            *(f"-I{it}" for it in (protos, googleapis, _WELL_KNOWN)),
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={written}",
            *(str(it) for it in sorted(protos.rglob("*.proto"))),
        ]
        if protoc.main(arguments):
            raise RuntimeError(f"protoc does not accept the protos in {protos}: see its output")
        return FileDescriptorSet.FromString(written.read_bytes())


def _files(root: Path) -> Iterator[Path]:
    for part in PARTS:
        path = root / part
        if path.is_file():
            yield path
            continue
        for it in path.rglob("*"):
            inside = it.relative_to(path)
            if it.is_file() and not any(_is_made(name) for name in inside.parts):
                yield it


def _is_made(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in MADE)
