"""What single views of the console show, in a real browser."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from conferencing.v1.common_pb2 import SupervisorRole
from conferencing.v1.conference_service_pb2 import JoinConferenceRequest
from tests.console.story import DESKTOP, PHONE, Story
from tests.harness.needs import with_tool
from tests.harness.provider import Answer, RecordingProvider

pytestmark = [with_tool("chromium"), pytest.mark.slow]


def row_of(story: Story, call: str) -> Locator:
    return story.page.get_by_role("row", name=call)


def provided(*people: dict[str, Any]) -> Any:
    """A provider that has these participants."""
    listed = [{"status": "joined", **it} for it in people]
    return lambda request: Answer(
        200,
        {"data": listed, "meta": {"total_pages": 1}}
        if "participants" in request.path
        else {"data": {"id": "c1", "name": "stand-up", "result": "ok"}},
    )


def test_a_conference_shows_supervisors_and_who_has_the_floor_though_opened_later(
    story: Story, provider: RecordingProvider
) -> None:
    provider.answer = provided(
        {"call_control_id": "ann", "id": "p1"},
        {"call_control_id": "sue", "id": "p2", "muted": True},
    )
    story.open()
    for call, role in (("ann", SupervisorRole.SUPERVISOR_ROLE_NONE), ("sue", 2)):
        story.gateway.conferences.JoinConference(
            JoinConferenceRequest(
                conference_id="c1",
                call_control_id=call,
                supervisor_role=SupervisorRole.ValueType(role),
            )
        )
        story.happens("conference.participant.joined", conference_id="c1", call_control_id=call)
    story.happens("conference.floor.changed", conference_id="c1", call_control_id="ann")
    story.sees("monitor")

    story.page.get_by_role("link", name="c1", exact=True).click()

    story.sees("People, as the provider has them")
    expect(row_of(story, "ann")).to_contain_text("speaking")
    expect(row_of(story, "ann")).not_to_contain_text("none")
    expect(row_of(story, "sue")).to_contain_text("monitor")
    # Who is put on hold by others is so for the provider alone; it had the floor.
    provider.answer = provided({"call_control_id": "ann", "id": "p1", "on_hold": True})
    story.happens("conference.participant.joined", conference_id="c1", call_control_id="new")
    expect(row_of(story, "ann")).to_contain_text("on hold", timeout=10_000)
    expect(row_of(story, "ann")).not_to_contain_text("speaking")
    expect(row_of(story, "ann")).to_contain_text("spoke last")


# Samples of a rate, and what is said of them.
SAID: Any = (
    ([0, 0], "now 0 /s", "hour: 0 /s"),
    ([10, 0.1], "now 0.1 /s", "hour: 10 /s"),
    ([0.004, 20], "now 20 /s", "hour: 20 /s"),
    ([0, 1e-9], "now < 0.01 /s", "hour: < 0.01 /s"),
    ([1234.5, 99.7], "now 100 /s", "hour: 1,235 /s"),
)


def test_charts_say_numbers_as_people_do(story: Story) -> None:
    story.open("charts")
    figure = story.page.locator("figure", has_text="Refusals")
    for values, now, highest in SAID:
        story.page.evaluate(
            """async (values) => {
              const { model, takeIn } = await import("/console/static/model.js");
              const at = Date.now();
              model.samples.length = 0;
              const samples = values.map((it, n) => ({ at: at + n, refusals_per_s: it }));
              takeIn({ vitals: { ...model.vitals, samples } });
            }""",
            values,
        )
        expect(figure).to_contain_text(now)
        expect(figure).to_contain_text(highest)
        assert "NaN" not in figure.inner_html()


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_view_begins_below_the_header_and_one_gone_back_to_is_where_it_was(
    story: Story, browser: Browser, device: Any
) -> None:
    for number in range(60):
        story.happens(
            "conference.participant.joined", conference_id=f"c{number}", call_control_id="k"
        )
    page = browser.new_page(**device)
    seen = Story(story.gateway, page)
    seen.open()
    seen.sees("60 open")
    # Its page is higher than the window.
    for _ in range(50):
        story.happens("conference.floor.changed", conference_id="c10", call_control_id="k")
    link = page.get_by_role("link", name="c10", exact=True)
    page.wait_for_function(
        "async () => (await import('/console/static/model.js')).model.events.length >= 50"
    )
    page.wait_for_function(
        """() => {
          document.querySelector("[data-key=c10]").scrollIntoView({ block: "center" });
          return scrollY > 500;
        }"""
    )

    link.click()

    heading = page.get_by_role("heading", name="Conference c10")
    seen.sees("conference.floor.changed")
    header, place = page.locator("header").bounding_box(), heading.bounding_box()
    assert header is not None
    assert place is not None
    assert place["y"] >= header["y"] + header["height"]
    assert page.evaluate("document.activeElement.id") == "main"
    page.go_back()
    expect(link).to_be_in_viewport(ratio=1)
    expect(link).to_be_focused()
    # Nor is anything below the header that the keyboard goes to, from further down.
    page.evaluate("[...document.querySelectorAll('.card a')].at(-1).focus()")
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(
            "document.activeElement.getBoundingClientRect().top >= "
            "document.querySelector('header').getBoundingClientRect().bottom"
        )
    page.close()


def test_whoever_skips_to_the_content_stays_in_the_view(story: Story) -> None:
    story.open("charts")
    story.page.keyboard.press("Tab")

    story.page.keyboard.press("Enter")

    story.sees("The last hour")
    assert story.page.evaluate("document.activeElement.id") == "main"


def test_a_page_that_was_not_let_in_asks_again(story: Story) -> None:
    refused: list[str] = []

    def refuse(route: Any) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, body="") if len(refused) == 1 else route.continue_()

    story.page.route("**/console/stream", refuse)
    story.page.goto(f"http://{story.gateway.admin_address}/console#/now")

    expect(story.page.locator("#link")).to_have_text("live", timeout=10_000)
    assert len(refused) == 2
    story.errors.clear()


def test_the_feed_says_when_it_leaves_events_out(story: Story) -> None:
    story.open("events")
    story.page.evaluate(
        """async () => {
          const { takeIn } = await import("/console/static/model.js");
          takeIn({ skipped: 7, events: [{ sequence: 1, id: "e1", type: "call.enqueued", at: 0 }] });
        }"""
    )
    story.sees("Some events came too fast to be shown here")

    story.page.get_by_label("queue").fill("q1")
    story.page.get_by_label("queue").press("Enter")

    story.sees_no_more("too fast")
