"""Small disks, which tests fill: file systems in memory, mounted by root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PIECE = bytes(1 << 20)


class SmallDisk:
    """A disk of its own at a folder. Use `small_disk`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (_PIECE, b"\0" * 512, b"\0"):
                # What is written may be less than was asked for, and nothing at last.
                with suppress(OSError):
                    while file.write(piece):
                        pass

    def free(self) -> None:
        """Have room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a disk of a size, such as `64m`, at a folder, until the end."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
