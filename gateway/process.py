"""What holds for the whole process of a server: how threads take turns, garbage, descriptors."""

import gc
import logging
import os
import sys
import threading

try:
    import resource
except ImportError:  # pragma: no cover - not on Windows
    resource = None  # type: ignore[assignment]

# How long a thread that computes keeps the interpreter from one that has come back from the disk,
# in seconds. Python's own 5 ms are an age for a group of webhooks: its thread asks ten times.
_SWITCH_INTERVAL_S = 0.0005

# After how many new objects the garbage collector looks for cycles among them, after how many
# of these looks among what outlived them, and then among all there is. Cycles are few and
# die young; walking over every event and stream there is, as it would do at Python's own 700, 10
# and 10, takes a tenth of the event loop's time. A larger first number makes pauses that are felt.
# What a flood makes all the same, `gateway.memory` looks for.
_GARBAGE_THRESHOLDS = (2_000, 10, 1_000)

# Descriptors that are enough for the connections that the gateway takes by itself. With fewer it
# runs, and turns connections away when they are used up.
DESCRIPTORS_ENOUGH = 4_096

# Descriptors beyond which nothing is gained; some systems allow a thousand times as many.
_DESCRIPTORS_MAX = 1_048_576

# By how much a thread gives way to others (see nice(2)): it has a tenth of a processor that others
# want, too, and the whole of one that nobody wants.
_GIVES_WAY = 10

_log = logging.getLogger(__name__)


def tune_interpreter() -> None:
    """Set how threads take turns and when garbage is collected."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def processors() -> int:
    """Return how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def give_way() -> None:
    """Have the calling thread give way to all others, for as long as it lives.

    Threads have priorities of their own on Linux only.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, own + _GIVES_WAY)


def descriptors_max() -> int | None:
    """Return how many files and connections may be open at one time, None if nothing limits it."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def within_descriptors(most: int, share: float) -> int:
    """Return how many of `most` connections a share of the descriptors allows."""
    descriptors = descriptors_max()
    return most if descriptors is None else min(most, int(descriptors * share))


def raise_descriptors() -> None:
    """Allow as many descriptors as the system lets us, and warn if these are few.

    Each connection takes one. The usual limit of 1,024 is kept low for programs that use
    `select(2)`, which knows no others; nothing here does.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    most = _DESCRIPTORS_MAX if hard == unlimited else min(hard, _DESCRIPTORS_MAX)
    if soft != unlimited and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        except (OSError, ValueError) as error:
            _log.warning("the limit of open files cannot be raised from %d: %s", soft, error)
    if soft != unlimited and soft < DESCRIPTORS_ENOUGH:
        _log.warning(
            "only %d files and connections can be open at a time; beyond that, new connections are"
            " refused and webhooks wait for a retry: allow %d or more (`ulimit -Hn`, LimitNOFILE="
            " of systemd, `docker run --ulimit nofile=`)",
            soft,
            DESCRIPTORS_ENOUGH,
        )
