"""Lines about components: one when it stops working, one when it works again."""

import logging

from gateway.records.components import ComponentChanged

_log = logging.getLogger(__name__)


def log_component(changed: ComponentChanged) -> None:
    """Write a line about a component that does not work any more, or works again.

    Where that is an alarm, who has found the cause has written a line of it.
    """
    kind = {"kind": (changed.component, changed.problem is None)}
    if changed.problem is None:
        text = "health: %s works, after %.1f s without"
        _log.info(text, changed.component, changed.seconds, extra=kind)
    else:
        _log.info("health: %s: %s", changed.component, changed.problem, extra=kind)
