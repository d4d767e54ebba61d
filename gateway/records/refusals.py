"""Refusals: what the gateway does not take from others, whichever face it happened at."""

from enum import StrEnum
from typing import NamedTuple


class Subject(StrEnum):
    """What was refused."""

    WEBHOOK = "webhook"
    # Ended by the HTTP server before anybody was asked.
    HTTP_CONNECTION = "http_connection"
    # The same, at the address of health and metrics.
    ADMIN_CONNECTION = "admin_connection"
    CALL = "call"
    # All that its calls do together, or that it does beside them.
    GRPC_CONNECTION = "grpc_connection"


class Refused(NamedTuple):
    """Something that was refused, in whole or in part.

    `kind` names the bound or the rule, in UPPER_SNAKE: it comes from a small set, whatever is sent.
    `peer` is who sent it, as far as the face knows. `detail` says more to people, without anything
    that was sent. `is_shortage` says that the gateway has no room for it, whoever is to blame,
    rather than that something is wrong with it. `limit` is the limit of its caller that it met, by
    its name in the callers file, empty if it met none.
    """

    subject: Subject
    kind: str
    peer: str
    detail: str = ""
    is_shortage: bool = False
    limit: str = ""
