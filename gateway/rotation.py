"""Secrets that change while the gateway runs: their files are read again when they change."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from gateway.config import Settings, read_value, revealed
from gateway.textfiles import TEXT_BYTES_MAX, text_of
from gateway.watchedfile import WatchedFile

_log = logging.getLogger(__name__)


def rotation(
    settings: Settings, taken: Mapping[str, Callable[[Any], None]]
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """Return the work, by name, that reads the files of settings again when these change.

    `taken` has for each setting that can be in a file who is given its new value. A file that
    cannot be used is named in the log output, and the value before stays in use.
    """
    return {
        f"the rotation of {name}": _watched(settings, name, path, taken[name]).run
        for name, path in settings.files.items()
    }


def _watched(
    settings: Settings, name: str, path: Path, use: Callable[[Any], None]
) -> WatchedFile[Any]:
    def read(content: bytes) -> Any:
        try:
            return read_value(name, text_of(content))
        except ValueError as error:
            raise ValueError(f"{path} {error}") from None

    def taken(value: Any) -> None:
        use(revealed(value))
        _log.info("%s was read anew from %s", name, path)

    def refused(reason: str) -> None:
        _log.error("%s stays as it was: %s", name, reason)

    def restored() -> None:
        _log.info("%s can be used again: it has what is in use", path)

    return WatchedFile(
        (path,), read, taken, refused, settings.value(name), TEXT_BYTES_MAX, restored
    )
