"""The console, put together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from starlette.routing import Route

from gateway.callers.callers import Callers
from gateway.conference.conferences import Conferences
from gateway.config import Settings
from gateway.console.console import Console
from gateway.console.vitals import NAMES, Counted, Vitals
from gateway.feed.feed import Feed
from gateway.health.health import Report
from gateway.schema.access import Access
from gateway.server.http.console.commands import ConsoleCommands
from gateway.server.http.console.gate import Gate
from gateway.server.http.console.history import History
from gateway.server.http.console.routes import ConsolePages
from gateway.upstream.bound import BoundOperation
from gateway.upstream.client import TelnyxClient
from gateway.version import gateway_version


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """Who may look and who may command: see `Gate`. `roles` is by a method's full name."""

    callers: Callers | None
    roles: Mapping[str, Access]


def console_of(feed: Feed, sums: Callable[[Mapping[str, str]], Counted]) -> Console:
    """Return the console; `sums` reads metrics by their names, and by a label of each."""
    return Console(feed, Vitals(lambda: sums(NAMES)))


def console_routes(
    settings: Settings,
    console: Console,
    feed: Feed,
    conferences: Conferences,
    operations: Iterable[BoundOperation],
    client: TelnyxClient,
    accepted: Callable[[Message], None],
    look: Callable[[], Report],
    access: ConsoleAccess,
) -> list[Route]:
    """Return the console's paths, none if it is off.

    `accepted` is given the request of each command that the console has sent.
    """
    if settings.console == "off":
        return []
    by_name = {it.name: it for it in operations}
    roles = {name.rpartition("/")[2]: it.role for name, it in access.roles.items()}
    history = History(feed.index)

    def vitals() -> dict[str, Any]:
        return {
            "oldest": feed.oldest,
            "newest": feed.newest,
            "streams": [
                {"caller": name, "streams": it.streams, "backlog": it.backlog}
                for name, it in sorted(feed.standings.items())
                if it.streams
            ],
        }

    pages = ConsolePages(
        console,
        Gate(access.callers, is_local=settings.admin_address.is_local),
        history,
        ConsoleCommands(by_name, roles, client, accepted, settings.console == "commands"),
        conferences,
        look,
        vitals,
        {"version": gateway_version(), "keys": list(history.keys)},
    )
    return pages.routes()
