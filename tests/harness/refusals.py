"""Lines about what was refused, as a gateway in this process writes them."""

import logging
from dataclasses import dataclass

import pytest

from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread

LOGGER = "gateway.telemetry.refusals"


@dataclass(frozen=True, slots=True)
class Told:
    """A line: how loud it is, what it says, and of whom."""

    level: str
    text: str
    peer: str


def refusals(caplog: pytest.LogCaptureFixture) -> list[Told]:
    """Return the lines so far, before floods of them are thinned out."""
    return [
        Told(it.levelname, it.getMessage(), it.__dict__["peer"])
        for it in caplog.records
        if it.name == LOGGER
    ]


def refusals_of(
    gateway: RunningGateway, loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> list[Told]:
    """Return them once no call is in flight."""
    loop.run(gateway.app.rules.in_flight.wait_until_idle())
    return refusals(caplog)


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Have lines about refusals kept from now on, quiet ones, too."""
    caplog.set_level(logging.INFO, logger=LOGGER)
