"""What a call shows of its caller, as a text: a token never stands in a line or an error."""

from gateway.callers.credentials import Credentials
from gateway.callers.patterns import names_in

TOKEN = "tgw_secret-of-a-caller"


def test_a_token_is_in_no_text_of_credentials() -> None:
    shown = Credentials(names_in([], ["desk.svc"]), TOKEN, "By=spiffe://x")

    for text in (repr(shown), str(shown), f"{shown}", repr([shown]), f"{(shown,)!r}"):
        assert TOKEN not in text
        assert "desk" in text
        assert "By=spiffe://x" in text
