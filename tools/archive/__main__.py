"""Write the archive of the protos: `python -m tools.archive DIRECTORY`."""

import sys
from importlib.metadata import version
from pathlib import Path

from tools.archive.packing import archive_of

directory = Path(sys.argv[1])
name = f"conferencing-protos-{version('telnyx-grpc-gateway')}"
directory.mkdir(parents=True, exist_ok=True)
made = directory / f"{name}.tar.gz"
made.write_bytes(archive_of(Path(), name))
print(made)
