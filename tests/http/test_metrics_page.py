"""Metrics: written as often as there is time for it."""

from gateway.server.http.admin import MetricsPage
from tests.harness.clock import ManualClock


def test_scrapes_are_fresh_and_a_flood_of_them_takes_a_small_share_of_the_time() -> None:
    clock, written = ManualClock(), 0

    def write() -> bytes:
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
