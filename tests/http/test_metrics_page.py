"""Metrics: written as often as there is time for it."""

from gateway.server.http.admin import MetricsPage
from tests.harness.clock import ManualClock


def test_scrapes_are_fresh_and_a_flood_of_them_takes_a_small_share_of_the_time() -> None:
    clock, written = ManualClock(), 0

    def write(*, openmetrics: bool) -> bytes:
        nonlocal written
        written += 1
        clock.advance(0.01)
        return b"%d" % written

    page = MetricsPage(write, clock)
    for number in range(1, 6):
        assert page.text() == b"%d" % number
        clock.advance(5)

    began = clock.now
    while clock.now < began + 10:
        page.text()
        clock.advance(0.001)

    assert 20 <= written - 5 <= 40
    assert page.text() == b"%d" % written


def test_each_format_has_a_page_of_its_own_also_when_there_is_no_time_left() -> None:
    clock = ManualClock()

    def write(*, openmetrics: bool) -> bytes:
        clock.advance(10)
        return b"open" if openmetrics else b"plain"

    page = MetricsPage(write, clock)

    assert page.text() == b"plain"
    assert page.text(openmetrics=True) == b"open"
    assert page.text() == b"plain"
