"""What `docs/feed.md` says about watched conferences against the constants in the code."""

from pathlib import Path

from gateway.conference import conferences, fair_queue, reader, refresh
from gateway.config import Settings
from gateway.server.statuses import WATCH_RETRY_S

TEXT = " ".join((Path(__file__).parents[1] / "docs" / "feed.md").read_text().split())


def test_the_numbers_about_watched_conferences_are_those_of_the_code() -> None:
    per_s = Settings.model_fields["watch_requests"].default
    assert f"`GATEWAY_WATCH_REQUESTS` ({per_s}) a second" in TEXT
    assert (reader.BURST_S, reader.REQUESTS_PER_READ) == (10, 2)
    assert "that takes two requests" in TEXT
    assert "and ten times as many at once" in TEXT
    assert f"each further {reader.PAGE_SIZE} participants" in TEXT
    assert f"due every {refresh.REFRESH_INTERVAL_S:.0f} seconds" in TEXT
    in_time = per_s * refresh.REFRESH_INTERVAL_S / reader.REQUESTS_PER_READ
    assert f"can be read in that time ({in_time:.0f})" in TEXT
    assert f"a first response for more than {conferences.FIRST_WAIT_MAX_S:.0f} s" in TEXT
    assert f"`RetryInfo` ({WATCH_RETRY_S:.0f} s)" in TEXT
    assert fair_queue.TURN_OF_THE_LAST == 10
    assert "One turn in ten is left to them" in TEXT
