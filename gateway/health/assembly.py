"""The components that there are, and what each of them stops."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.health.component import Component


class _Provider(Protocol):
    """What may be wrong on the way to the provider; None where nothing is."""

    @property
    def key_problem(self) -> str | None:
        """That it rejects the key."""

    @property
    def provider_problem(self) -> str | None:
        """That it is not there, or not itself."""

    @property
    def requests_problem(self) -> str | None:
        """That requests to it hang."""


@dataclass(frozen=True, slots=True)
class Services:
    """The gRPC services by full name: those that call the provider, and those of the feed."""

    commands: frozenset[str]
    feed: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Both."""
        return self.commands | self.feed


def components_of(
    services: Services,
    phase: Callable[[], str | None],
    log_problem: Callable[[], str | None],
    index_problem: Callable[[], str | None],
    provider: _Provider,
    certificate_problem: Callable[[], str | None],
    background_problem: Callable[[], str | None],
) -> Iterable[Component]:
    """Return the components of a gateway.

    `phase` says that it is starting or shutting down, None while it serves. A log that cannot be
    written stops webhooks, which the provider takes elsewhere or sends again, and no service: what
    is stored is read on, and commands go on. An index that lacks what the log has stops the feed:
    not every cursor can be served, and who comes anew is better off elsewhere. A certificate that
    has expired stops no service: whoever is connected is served on. Background work is taken up
    again when it fails, and no other gateway would do it better: it is shown, and takes nothing out
    of service.
    """
    commands = services.commands
    return (
        Component("gateway", phase, services.all, recorded=False),
        Component("event_log", log_problem),
        Component("event_index", index_problem, services.feed),
        Component("api_key", lambda: provider.key_problem, commands),
        Component("provider", lambda: provider.provider_problem, commands),
        Component("provider_requests", lambda: provider.requests_problem, commands),
        Component("certificates", certificate_problem),
        Component("background_work", background_problem, needed=False),
    )
