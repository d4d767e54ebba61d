"""The callers of a file, kept up to date with it."""

import logging
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from gateway.callers.callers import Callers
from gateway.callers.errors import CallersFileError
from gateway.callers.fetching import BYTES_MAX as KEYS_BYTES_MAX
from gateway.callers.fetching import fetch_keys
from gateway.callers.file import BYTES_MAX, Bind, read_callers
from gateway.callers.keys import read_keys
from gateway.callers.kinds import Kinds
from gateway.callers.roster import Roster
from gateway.callers.visible import binding
from gateway.schema.event_keys import declared_keys
from gateway.watchedfile import WatchedFile, contents_of

_log = logging.getLogger(__name__)


def callers_of(path: Path | None) -> "FiledCallers | None":
    """Return the callers of a file, bound by the keys of events; None without a file.

    Raises CallersFileError.
    """
    return None if path is None else FiledCallers(path, binding(Kinds(declared_keys())))


class FiledCallers:
    """Callers as a file has them; a version that cannot be used is not taken."""

    def __init__(self, path: Path, bind: Bind | None = None) -> None:
        """Read the file, see `read_callers`. Raises CallersFileError, which names the file."""
        self._path = path
        read = partial(_read, bind=bind)
        try:
            roster = read(contents_of(path, BYTES_MAX))
        except ValueError as error:
            raise CallersFileError(_about(path, error)) from None
        self.callers = Callers(roster, fetch_keys)
        self._file = WatchedFile(
            (path,), read, self._taken, self._refused, roster, BYTES_MAX, self._restored
        )

    @property
    def work(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What must go on for ever, by what it is called in lines."""
        return {
            "the check of the callers file": self._file.run,
            "the keys of issuers": self.callers.keys.run,
        }

    async def look(self) -> None:
        """Look at the file once; a change counts once it was seen twice."""
        await self._file.look()

    def _taken(self, roster: Roster) -> None:
        self.callers.roster = roster
        _log.info("%s has changed and is in force: %d callers", self._path, len(roster))

    def _refused(self, why: str) -> None:
        _log.error(
            "%s has changed and cannot be used; the version before stays in force: %s",
            self._path,
            # A message is one line.
            why if why.startswith(str(self._path)) else "; ".join(why.splitlines()),
        )

    def _restored(self) -> None:
        _log.info("%s can be used again: it has what is in force", self._path)


def _read(data: bytes, bind: Bind | None) -> Roster:
    """Read a callers file, and the files that it names. Raises CallersFileError."""
    roster = read_callers(data, bind)
    mistakes = []
    for issuer in roster.issuers:
        where = f"issuers.{issuer.name!r}"
        try:
            if issuer.keys_file is not None:
                read_keys(contents_of(issuer.keys_file, KEYS_BYTES_MAX))
        except ValueError as error:
            mistakes.append(f"{where}.jwks: {issuer.keys_file} {error}")
        try:
            if issuer.ca is not None:
                ssl.create_default_context(cafile=issuer.ca)
        except OSError as error:  # an SSLError is one
            mistakes.append(f"{where}.ca: {issuer.ca} cannot be used: {error.strerror or error}")
    if mistakes:
        raise CallersFileError("\n".join(mistakes))
    return roster


def _about(path: Path, error: ValueError) -> str:
    """Return every mistake, a line each, below the name of the file."""
    lines = str(error).splitlines()
    return f"{path} {lines[0]}" if len(lines) == 1 else f"{path}:\n{_indented(str(error))}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
