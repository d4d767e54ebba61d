"""What a subscriber keeps: the ids of the events that it handled, and the cursor after them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path


class Record:
    """A line of JSON for each response, `{"cursor": ..., "ids": [...]}`, added in one write.

    So effects and cursor are never apart, and the last whole line is the truth. In a database this
    is one transaction, and `seen` is a unique key on the id.
    """

    def __init__(self, path: Path) -> None:
        self.cursor = ""
        self.seen: set[str] = set()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        text = path.read_bytes()
        # A line without an end was cut off by a crash: what it says comes again.
        whole = text[: text.rfind(b"\n") + 1]
        os.truncate(path, len(whole))
        for line in whole.splitlines():
            entry = json.loads(line)
            self.cursor = entry["cursor"]
            self.seen.update(entry["ids"])

    def add(self, ids: Iterable[str], cursor: str) -> None:
        """Keep the ids that are new, in their order, and the cursor, and have them on disk."""
        new = [it for it in dict.fromkeys(ids) if it not in self.seen]
        if not new and cursor == self.cursor:
            return
        os.write(self._file, json.dumps({"cursor": cursor, "ids": new}).encode() + b"\n")
        os.fsync(self._file)
        self.seen.update(new)
        self.cursor = cursor
