"""The console while a scenario of the package is played: the support line."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from gateway.sandbox import SandboxServer
from gateway.sandbox.scenario.library import shipped_script
from tests.conftest import StartGateway
from tests.harness.loop import LoopThread
from tests.harness.needs import with_tool
from tests.harness.rehearsal import Rehearsal

pytestmark = [with_tool("chromium"), pytest.mark.slow]

# What has happened is seen so soon, in milliseconds.
SEEN_MS = 1_000


class SupportLine:
    """The scenario, and what the page shows of it."""

    def __init__(self, rehearsal: Rehearsal, page: Page) -> None:
        self.rehearsal, self.page = rehearsal, page

    def card_of(self, call: str) -> Locator:
        return self.page.locator("li.card", has_text=f"v3:support-line-{call}")

    def goes_on(self, until: float) -> None:
        self.rehearsal.go_on(until)

    def shows(self, text: str) -> None:
        expect(self.page.locator("main")).to_contain_text(text, timeout=SEEN_MS)

    def shows_no(self, text: str) -> None:
        expect(self.page.locator("main")).not_to_contain_text(text, timeout=SEEN_MS)


@pytest.fixture
def line(
    loop: LoopThread, start_gateway: StartGateway, simulated: SandboxServer, browser: Browser
) -> Iterator[SupportLine]:
    gateway = start_gateway(simulated.base_url, public_key=simulated.public_key)
    simulated.control.set_webhook_url(gateway.webhook_url)
    page = browser.new_page()
    page.goto(f"http://{gateway.admin_address}/console#/now")
    expect(page.locator("#link")).to_have_text("live", timeout=20_000)
    rehearsal = Rehearsal(loop, simulated, gateway, shipped_script("support-line"))
    yield SupportLine(rehearsal, page)
    rehearsal.close()
    page.close()


def test_it_follows_the_support_line(line: SupportLine) -> None:
    line.goes_on(9)
    line.shows("3 waiting")
    line.goes_on(16)
    line.shows("2 waiting")
    line.shows("1 open with 2 people")
    line.shows("speaking")

    # Nina is on hold and hears music; Ruth keeps her place though she has hung up.
    line.goes_on(30)
    expect(line.card_of("nina")).to_contain_text("on hold")
    line.shows("4 waiting")
    line.shows("v3:support-line-ruth")
    # Ben has taken the next one, and Omar has given up.
    line.goes_on(50)
    line.shows("2 open with 5 people")
    line.shows("2 waiting")
    line.shows_no("v3:support-line-omar")
    line.goes_on(56)
    line.shows_no("on hold")

    # The supervisor's part in it is on the conference's own page.
    line.card_of("nina").get_by_role("link").click()
    line.shows("UpdateSupervisorRole")
    line.shows("“nina-and-ana”")
    line.goes_on(line.rehearsal.script.length)
    line.page.get_by_role("link", name="all conferences").click()
    line.shows("Nobody waits.")
    line.shows("0 open with 0 people")
    assert line.rehearsal.failures == []
