"""A browser for the console."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.conftest import StartGateway
from tests.console.story import Story
from tests.harness.browser import chromium
from tests.harness.provider import Answer, RecordingProvider


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def story(
    start_gateway: StartGateway, provider: RecordingProvider, browser: Browser
) -> Iterator[Story]:
    gateway = start_gateway(provider.base_url, GATEWAY_CONSOLE="commands")
    provider.answer = lambda request: Answer(
        200,
        {"data": [], "meta": {"total_pages": 1}}
        if "participants" in request.path
        else {"data": {"id": "c1", "name": "stand-up", "result": "ok"}},
    )
    page = browser.new_page()
    found = Story(gateway, page)
    yield found
    page.close()
    assert found.errors == []
