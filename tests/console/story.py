"""A gateway, and its console in a browser."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import webhook

# A webhook is seen so soon, in milliseconds.
SEEN_MS = 1_000

DESKTOP: Any = {"viewport": {"width": 1280, "height": 800}}
PHONE: Any = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


class Story:
    """A gateway, and a page of its console."""

    def __init__(self, gateway: RunningGateway, page: Page) -> None:
        self.gateway, self.page = gateway, page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type == "error" and "ERR_INTERNET_DISCONNECTED" not in message.text:
            self.errors.append(message.text)

    def open(self, view: str = "now") -> None:
        self.page.goto(f"http://{self.gateway.admin_address}/console#/{view}")
        expect(self.page.locator("#link")).to_have_text("live", timeout=20_000)

    def happens(self, type_: str, **payload: Any) -> None:
        self.gateway.webhooks.post(webhook(type_, payload))

    def sees(self, text: str) -> None:
        expect(self.page.locator("main")).to_contain_text(text, timeout=SEEN_MS)

    def sees_no_more(self, text: str) -> None:
        expect(self.page.locator("main")).not_to_contain_text(text, timeout=SEEN_MS)
