"""Moving: what a log in a file says of moves, read beside its gateway and written without one."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.journal.errors import LogOpenError
from gateway.journal.format import EventFormat
from gateway.journal.moves import ARRIVING, DEPARTED, Move, Opening, Standing
from gateway.journal.sqlite.faults import UNREADABLE, described
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.opening import OpenFiles, open_files
from gateway.journal.sqlite.schema import (
    marks_in,
    must_be_ours,
    open_beside,
    read_meta,
    set_meta,
)

_FOR_MOVE = Opening(is_for_move=True)


def standing_of(path: Path) -> Standing | None:
    """Return which log there is at a path; None if there is none. Raises LogOpenError."""
    files = LogFiles.of(path)
    if not files.database.is_file() or not files.database.stat().st_size:
        return None
    try:
        with closing(open_beside(files.database, files.wal)) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return None  # it was being made
            must_be_ours(connection, files.database, is_copy=False)
            meta = read_meta(connection)
    except UNREADABLE as error:
        raise LogOpenError(f"cannot open the event log {described(error, path)}") from error
    return Standing(bytes(meta["epoch"]), marks_in(meta))


def depart(path: Path, format_: EventFormat, standing: Standing, move: Move) -> None:
    """Close a log for good: only a move opens it from now on. Raises LogOpenError.

    Also if it is not as it was, or if a gateway uses it.
    """
    with _written(path, format_, lambda found: found == standing) as opened:
        set_meta(opened.connection, {DEPARTED: str(move).encode()})


def settle(path: Path, format_: EventFormat, move: Move) -> None:
    """Have a log live that a move has brought. Raises LogOpenError, also if it was another one."""
    with _written(path, format_, lambda found: found.marks.arriving == move) as opened:
        opened.connection.execute("DELETE FROM meta WHERE key = ?", (ARRIVING,))


@contextmanager
def _written(
    path: Path, format_: EventFormat, holds: Callable[[Standing], bool]
) -> Iterator[OpenFiles]:
    """Yield a log whose marks are to be changed, in a statement that is synced by itself."""
    opened = open_files(path, format_, opening=_FOR_MOVE)
    try:
        meta = read_meta(opened.connection)
        if not holds(Standing(bytes(meta["epoch"]), marks_in(meta))):
            raise LogOpenError(
                f"the event log {path} has changed meanwhile: give the command again, when nothing"
                " else uses the log"
            )
        yield opened
    except UNREADABLE as error:
        raise LogOpenError(f"cannot write to the event log {described(error, path)}") from error
    finally:
        opened.close()
