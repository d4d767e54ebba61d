"""The console in a real browser: a caller is queued, joined, muted, recorded and gone."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.console.story import DESKTOP, PHONE, Story
from tests.harness.needs import with_tool
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.webhooks import webhook

pytestmark = [with_tool("chromium"), pytest.mark.slow]

SERIOUS = {"serious", "critical"}


def test_a_caller_is_queued_joined_muted_recorded_and_gone(
    story: Story, provider: RecordingProvider
) -> None:
    story.open()
    story.sees("Nobody waits.")
    story.happens("call.enqueued", queue="support", call_control_id="carol")
    story.sees("carol")
    story.happens("call.dequeued", queue="support", call_control_id="carol")
    story.sees("Nobody waits.")
    story.happens("conference.participant.joined", conference_id="c1", call_control_id="carol")
    story.sees("1 open with 1 people")
    story.happens("conference.floor.changed", conference_id="c1", call_control_id="carol")
    story.sees("speaking")

    story.page.get_by_role("link", name="c1", exact=True).click()
    story.sees("What happened")
    story.happens("conference.recording.saved", conference_id="c1")
    story.sees("conference.recording.saved")

    story.page.get_by_role("link", name="all conferences").click()
    story.sees("recorded")
    story.happens("conference.participant.left", conference_id="c1", call_control_id="carol")
    story.sees("0 people")
    story.happens("conference.ended", conference_id="c1")
    story.sees("ended")


def _with_carol(request: SentRequest) -> Answer:
    """Answer as a provider in whose conference one person is."""
    participant = {"call_control_id": "carol", "status": "joined", "id": "p1"}
    return Answer(
        200,
        {"data": [participant], "meta": {"total_pages": 1}}
        if "participants" in request.path
        else {"data": {"id": "c1", "name": "stand-up", "result": "ok"}},
    )


def test_a_command_is_sent_after_a_confirmation_alone(
    story: Story, provider: RecordingProvider
) -> None:
    provider.answer = _with_carol
    story.open("conference/c1")
    story.sees("“stand-up”")
    mute = story.page.get_by_role("button", name="Mute", exact=True)

    mute.click()
    story.page.get_by_role("button", name="Cancel").click()
    expect(story.page.get_by_role("dialog")).to_be_hidden()
    assert not any("/actions/" in it.path for it in provider.requests)
    # And once more, without a mouse.
    mute.focus()
    story.page.keyboard.press("Enter")
    expect(story.page.get_by_role("dialog")).to_contain_text("Mute carol?")
    story.page.keyboard.press("Shift+Tab")
    story.page.keyboard.press("Enter")

    expect(story.page.get_by_role("alert")).to_have_text("MuteParticipants: done", timeout=20_000)
    assert [it.path for it in provider.requests if "/actions/" in it.path] == [
        "/v2/conferences/c1/actions/mute"
    ]


def test_a_question_asked_in_the_moment_another_is_answered_has_an_answer_of_its_own(
    story: Story, provider: RecordingProvider
) -> None:
    provider.answer = _with_carol
    story.open("conference/c1")
    story.page.get_by_role("button", name="Mute", exact=True).click()

    # In one task: the browser tells of the first answer after the second question.
    story.page.evaluate("""() => {
        document.querySelector("dialog[open] [value=no]").click();
        document.querySelector("[data-key^=MuteParticipants]").click();
    }""")
    story.page.get_by_role("dialog").get_by_role("button", name="Mute").click()

    expect(story.page.get_by_role("alert")).to_have_text("MuteParticipants: done", timeout=20_000)
    assert len([it for it in provider.requests if "/actions/" in it.path]) == 1


def test_the_feed_flows_is_filtered_paused_and_searched_back(story: Story) -> None:
    for number in range(60):
        story.happens("conference.created", conference_id=f"old{number}")
    story.open("events")
    story.sees("#60")
    story.sees_no_more("old0")
    story.page.get_by_role("button", name="Older events").click()
    story.sees("old0")

    story.page.get_by_label("type").fill("call.*")
    story.page.get_by_label("type").press("Enter")
    story.sees_no_more("conference.created")
    story.happens("conference.created", conference_id="other")
    story.happens("call.enqueued", queue="q1", call_control_id="dave")
    story.sees("dave")
    story.sees_no_more("other")

    story.page.get_by_role("button", name="Pause").click()
    story.happens("call.enqueued", queue="q1", call_control_id="erin")
    story.sees("paused; 1 new")
    story.sees_no_more("erin")
    story.page.get_by_role("button", name="Pause").click()
    story.sees("erin")

    story.page.get_by_role("button", name="call.enqueued").first.click()
    story.sees('"call_control_id": "erin"')


def test_the_page_finds_a_gateway_that_was_away(story: Story) -> None:
    story.open()

    story.page.context.set_offline(True)
    story.page.evaluate("() => fetch('/console').catch(() => {})")
    story.page.context.set_offline(False)
    story.happens("conference.created", conference_id="c9")

    story.sees("c9")


@pytest.mark.parametrize("view", ["now", "events", "charts", "health", "conference/c1"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_fault_for_who_cannot_see_it(
    story: Story, browser: Browser, view: str, scheme: Any
) -> None:
    story.happens("conference.participant.joined", conference_id="c1", call_control_id="carol")
    story.happens("call.enqueued", queue="support", call_control_id="dave")
    for device in (DESKTOP, PHONE):
        page = browser.new_page(color_scheme=scheme, **device)
        seen = Story(story.gateway, page)
        seen.open(view)
        found = Axe().run(page).response["violations"]
        assert [it["id"] for it in found if it["impact"] in SERIOUS] == [], view
        # Nothing has to be scrolled sideways.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.close()


def test_five_hundred_conferences_stay_smooth(story: Story) -> None:
    gateway = story.gateway
    posted = [
        webhook(
            "conference.participant.joined",
            {"conference_id": f"c{n % 500}", "call_control_id": f"k{n}"},
        )
        for n in range(5_000)
    ]
    for it in posted:
        gateway.webhooks.post(it)
    story.open()
    whole = expect(story.page.locator("main"))
    whole.to_contain_text("500 open with 5000 people", timeout=20_000)
    story.page.evaluate(
        """() => {
          window.longest = 0; let last = performance.now();
          const tick = () => {
            const now = performance.now();
            window.longest = Math.max(window.longest, now - last); last = now;
            requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
        }"""
    )

    for number in range(50):
        story.happens(
            "conference.floor.changed", conference_id=f"c{number}", call_control_id=f"k{number}"
        )
    story.sees("speaking")

    # No frame took so long that a person would call it a stop, in milliseconds.
    assert story.page.evaluate("window.longest") < 500
