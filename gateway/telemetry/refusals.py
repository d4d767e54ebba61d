"""Lines about what was refused: one form for all faces, one line of a kind per second (`flood`)."""

import logging
from collections.abc import Mapping

from gateway.records.connections import ConnectionClosed
from gateway.records.refusals import Refused, Subject

# The words of a line before its kind.
_DONE = {
    Subject.WEBHOOK: "refused a webhook",
    Subject.HTTP_CONNECTION: "closed an HTTP connection",
    Subject.ADMIN_CONNECTION: "closed an admin connection",
    Subject.CALL: "refused a call",
    Subject.GRPC_CONNECTION: "limited a gRPC connection",
}
_CLOSED = "closed a gRPC connection"

# How much of a detail is written, in characters.
_DETAIL_MAX = 300

_log = logging.getLogger(__name__)


def log_refused(refused: Refused, fields: Mapping[str, object] | None = None) -> None:
    """Write a line about something refused: what, which kind, why and from whom.

    `fields` are further members of the line (see `lines`).
    """
    _log.log(
        logging.WARNING if refused.is_shortage else logging.INFO,
        "%s: %s%s",
        _DONE[refused.subject],
        refused.kind,
        f": {refused.detail[:_DETAIL_MAX]}" if refused.detail else "",
        extra={
            "kind": (refused.subject, refused.kind),
            "peer": refused.peer,
            "fields": fields or {},
        },
    )


def log_closed(closed: ConnectionClosed) -> None:
    """Write a line about a connection that was held, and is closed now."""
    _log.info(
        "%s: %s: it was held for %.0f s",
        _CLOSED,
        closed.kind,
        closed.seconds,
        extra={"kind": (_CLOSED, closed.kind), "peer": closed.peer},
    )
