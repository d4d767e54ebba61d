"""The gateway's health: the states of its components, and what follows from them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import NamedTuple

from gateway.health.component import Component, State
from gateway.records.components import ComponentChanged
from gateway.records.observer import Observer, ignore

# How often to look whether something has changed of which nobody tells, in seconds. Who is balanced
# over several gateways wants to hear of it before its next call; a look takes some microseconds.
LOOK_EVERY_S = 0.25

# The name by which gRPC's health protocol asks for the whole server.
WHOLE_SERVER = ""


class Report(NamedTuple):
    """What is known at one moment, `at` on the monotonic clock, in seconds."""

    states: Sequence[State]
    # Why the gateway is not ready. Empty if it is.
    reasons: Sequence[str]
    # Whether each gRPC service can do its work, by full name; with that of the whole server.
    services: Mapping[str, bool]
    at: float

    @property
    def ready(self) -> bool:
        """Whether everything is there that is needed."""
        return not self.reasons


class Health:
    """Derives readiness and the health of each service from the states of components.

    A service works while all components work that name it; the whole server (`""`) and readiness
    are one: while all work that are needed. `changed` is told the health of the services when it
    has changed, `observe` of each component. `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self,
        components: Iterable[Component],
        services: Iterable[str],
        changed: Callable[[Mapping[str, bool]], None],
        observe: Observer[ComponentChanged] = ignore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._components = tuple(components)
        self._services = (WHOLE_SERVER, *sorted(services))
        self._changed = changed
        self._observe = observe
        self._sleep = sleep
        self._now = now
        began = now()
        self._states = {it.name: State(it.name, it.problem(), began) for it in self._components}
        self._told: Mapping[str, bool] = {}

    def look(self) -> Report:
        """Return what is known now, and tell those who are to be told of what has changed."""
        now = self._now()
        changes = [
            change for it in self._components if (change := self._update(it, now)) is not None
        ]
        report = self._report(now)
        if report.services != self._told:
            self._told = report.services
            self._changed(report.services)
        for change in changes:
            self._observe(change)
        return report

    @property
    def working(self) -> Mapping[str, Callable[[], bool]]:
        """By name of each component what tells whether it works now."""
        return {it.name: partial(_works, it) for it in self._components}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await self._sleep(LOOK_EVERY_S)

    def _update(self, component: Component, now: float) -> ComponentChanged | None:
        before, reason = self._states[component.name], component.problem()
        if reason == before.reason:
            return None
        stays = before.ok == (reason is None)
        since = before.since if stays else now
        self._states[component.name] = State(component.name, reason, since)
        # Other words for what has been told already are no news.
        if stays or not component.recorded:
            return None
        return ComponentChanged(component.name, reason, now - before.since)

    def _report(self, now: float) -> Report:
        failed = [it for it in self._components if not self._states[it.name].ok]
        states = tuple(self._states.values())
        reasons = tuple(self._states[it.name].reason or "" for it in failed if it.needed)
        stopped = frozenset[str]().union(*(it.services for it in failed))
        services = {it: it not in stopped for it in self._services}
        services[WHOLE_SERVER] = not reasons
        return Report(states, reasons, services, now)


def _works(component: Component) -> bool:
    return component.problem() is None
