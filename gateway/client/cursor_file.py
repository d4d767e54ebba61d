"""A cursor in a file, so that the next start continues where this one ended."""

import os
from dataclasses import dataclass
from pathlib import Path

# A cursor has some 30 characters; what is far longer is a file that was taken for it.
_CHARACTERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class CursorFile:
    """The file, and how it is read and replaced."""

    path: Path

    def load(self) -> str:
        """Return the cursor, an empty text if there is none yet. Raises ValueError."""
        try:
            text = self.path.read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path} cannot be read: {error}") from None
        if len(text) > _CHARACTERS_MAX or len(text.split()) > 1:
            raise ValueError(f"{self.path} holds no cursor")
        return text

    def save(self, cursor: str) -> None:
        """Replace the cursor; a crash half-way leaves the old one. Raises OSError."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(f"{cursor}\n")
        os.replace(new, self.path)
