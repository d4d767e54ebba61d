"""A process that does nothing for a while, with all its connections open."""

import os
import signal
import subprocess


def hold(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Stop a child, and return when it has stopped: until then its threads may still do work.

    A signal takes effect when one of them gets a processor, which on a busy machine is later.
    """
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it has ended before"


def go_on(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Let a child that was stopped go on."""
    process.send_signal(signal.SIGCONT)
