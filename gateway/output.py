"""Standard output and standard error, when they cannot be written: a full disk, a pipe cut off."""

import asyncio
import contextlib
import errno
import os
import select
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

import click

# What writing to a file, a pipe or a terminal fails with, as opposed to anything else that does.
_WRITING = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})

# How often to look whether a pipe is still read, in seconds.
_LOOK_S = 0.5

_STANDARD_INPUT, _STANDARD_OUTPUT, _STANDARD_ERROR = 0, 1, 2


class OutputError(click.ClickException):
    """Standard output cannot be written: the command ends with 1 and a line that says so."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")

    def show(self, file: Any = None) -> None:
        """Print the line."""
        # The interpreter would try again to write what is left when it exits, and complain.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_OUTPUT)
        tell(f"telnyx-gateway: {self.message}")


class Program(click.Group):
    """A group of commands that ends in words when its output cannot be written."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that the arguments name; see `click.Command.main`."""
        _fill_standard_files()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:  # of click's own, such as the text of --help
            if error.errno not in _WRITING or error.filename is not None:
                raise
            failed = OutputError(error)
            failed.show()
            sys.exit(failed.exit_code)


def is_coloured(env: Mapping[str, str]) -> bool | None:
    """Return whether output has colours, by what users set for all programs; None: on terminals.

    NO_COLOR (no-color.org) takes them away, FORCE_COLOR (force-color.org) has them in files and
    pipes too. Either counts if it is not empty, and NO_COLOR counts more.
    """
    if env.get("NO_COLOR"):
        return False
    return True if env.get("FORCE_COLOR") else None


def say(text: str) -> None:
    """Print a line. Raises OutputError if that cannot be."""
    try:
        click.echo(text)
    except OSError as error:
        raise OutputError(error) from None


def tell(text: str) -> None:
    """Print a line on standard error, if that can be."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def has_terminal() -> bool:
    """Whether somebody looks at standard error, and it can be written over."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def overwrite(text: str) -> None:
    """Show a line on the terminal in place of the last one so shown; an empty one takes it away."""
    # Back to the beginning of the line, and clear to its end (ECMA-48).
    with contextlib.suppress(OSError):
        click.echo(f"\r\x1b[K{text}", err=True, nl=False, color=True)


async def while_read(work: Coroutine[Any, Any, int]) -> int:
    """Do work until it is done or nobody reads standard output any more.

    A pipe says that its reader has gone only to those who write, and who waits for events may not
    write again. Raises OutputError, after the work has been cancelled.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_reader_gone())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
    raise OutputError(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))


async def _reader_gone() -> None:
    """Return when standard output is a pipe without a reader."""
    poll = select.poll()
    poll.register(_STANDARD_OUTPUT, 0)  # errors are reported without being asked for
    while not any(events & select.POLLERR for _, events in poll.poll(0)):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)  # nobody sets an event for it


def _fill_standard_files() -> None:
    """Open what the process was started without.

    The next socket would take its number, which the event loop takes for a standard file (libuv
    aborts), and whatever is printed would go to a client. What is printed to a closed standard
    output has to fail, so it cannot be written.
    """
    for number, mode in (
        (_STANDARD_INPUT, os.O_RDONLY),
        (_STANDARD_OUTPUT, os.O_RDONLY),
        (_STANDARD_ERROR, os.O_WRONLY),
    ):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(_STANDARD_OUTPUT, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STANDARD_ERROR, "w", closefd=False)
