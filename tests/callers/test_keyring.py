"""Keys of issuers: fetched beside the calls, when they are due and when one is unknown."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.callers.callers import Callers, Identified
from gateway.callers.claims import Issuer
from gateway.callers.credentials import Credentials
from gateway.callers.errors import UnidentifiedError
from gateway.callers.file import read_callers
from gateway.callers.keyring import AGAIN_AFTER_S, URL_EVERY_S, WAITING_MAX
from tests.harness.callers import with_token
from tests.harness.issuer import NAME, Key, claims, issuer_entry, jwks
from tests.harness.verifying import DESK, URL, Stage

EC, RSA = Key("ec"), Key("rsa", "RSA")


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_a_new_key_is_asked_for_when_a_token_names_it_at_most_once_in_a_while() -> None:
    async def test() -> None:
        stage, new = Stage(EC), Key("new")
        assert await stage.who(EC.sign(claims())) == "desk"
        stage.source.body = jwks(EC, new)
        for _ in range(3):
            assert stage.at_once(new.sign(claims())) == "CALLER_UNKNOWN"
        assert stage.source.fetched == 1

        stage.steady.advance(AGAIN_AFTER_S)
        assert await stage.who(new.sign(claims())) == "desk"
        assert stage.source.fetched == 2

        stage.steady.advance(AGAIN_AFTER_S)
        assert await stage.who(EC.sign(claims(), kid="made up")) == "CALLER_UNKNOWN"
        assert stage.at_once(EC.sign(claims(), kid="made up, too")) == "CALLER_UNKNOWN"
        assert stage.source.fetched == 3

    run(test)


def test_a_fetch_is_waited_for_by_those_who_need_it_only_and_there_is_one() -> None:
    async def test() -> None:
        stage, new = Stage(EC), Key("new")
        known = EC.sign(claims())
        assert await stage.who(known) == "desk"
        stage.steady.advance(AGAIN_AFTER_S)
        stage.source.body = jwks(EC, new)
        stage.source.lets.clear()
        waiting = [asyncio.create_task(stage.who(new.sign(claims()))) for _ in range(WAITING_MAX)]
        await asyncio.sleep(0)

        assert stage.at_once(known) == stage.at_once(EC.sign(claims(n=1))) == "desk"
        assert await stage.who(new.sign(claims())) == "KEYS_UNAVAILABLE"
        waiting[0].cancel()
        stage.source.lets.set()
        assert await asyncio.gather(*waiting[1:]) == ["desk"] * (WAITING_MAX - 1)
        assert stage.source.fetched == 2

    run(test)


@pytest.mark.parametrize("fails", [OSError("refused"), ValueError("not a JWKS"), RuntimeError("x")])
def test_keys_that_cannot_be_fetched_again_leave_those_of_before(
    fails: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        stage = Stage(EC)
        assert await stage.who(EC.sign(claims())) == "desk"
        stage.source.fails = fails
        stage.steady.advance(AGAIN_AFTER_S)
        assert await stage.who(EC.sign(claims(), kid="new")) == "CALLER_UNKNOWN"
        assert stage.at_once(EC.sign(claims(n=1))) == "desk"

    run(test)
    assert "cannot be had" in caplog.text
    assert "https://id.example.org/jwks" in caplog.text


def test_while_there_are_no_keys_at_all_callers_are_to_try_again() -> None:
    async def test() -> None:
        stage = Stage(EC)
        stage.source.fails = OSError("refused")
        token = EC.sign(claims())
        assert await stage.who(token) == "KEYS_UNAVAILABLE"
        assert stage.at_once(token) == "KEYS_UNAVAILABLE"

        stage.source.fails = None
        stage.steady.advance(AGAIN_AFTER_S)
        assert await stage.who(token) == "desk"

    run(test)


def test_a_key_that_is_taken_away_takes_its_tokens_with_it() -> None:
    async def test() -> None:
        stage, token = Stage(EC, RSA), EC.sign(claims())
        assert await stage.who(token) == "desk"
        found = stage.callers.identify(Credentials(bearer=token))
        assert isinstance(found, Identified)

        stage.source.body = jwks(RSA)
        stage.steady.advance(URL_EVERY_S)
        ring = stage.callers.keys.of(NAME)
        assert ring is not None
        ring.keep_fresh()
        await ring.learnt()

        assert stage.at_once(token) == "CALLER_UNKNOWN"
        with pytest.raises(UnidentifiedError):
            stage.callers.again(found)

    run(test)


def test_keys_are_fetched_beside_the_calls_when_they_are_due() -> None:
    async def test() -> None:
        stage = Stage(EC)
        fetched = []

        async def sleep(_seconds: float) -> None:
            ring = stage.callers.keys.of(NAME)
            assert ring is not None
            if not ring.is_known:
                await ring.learnt()
            await asyncio.sleep(0)
            fetched.append(stage.source.fetched)
            if len(fetched) == 6:
                raise asyncio.CancelledError
            stage.steady.advance(URL_EVERY_S / 2)

        with pytest.raises(asyncio.CancelledError):
            await stage.callers.keys.run(sleep)
        assert stage.at_once(EC.sign(claims())) == "desk"
        assert fetched == [1, 1, 2, 2, 3, 3]

    run(test)


def test_a_caller_that_is_taken_from_the_file_has_no_token_any_more() -> None:
    async def test() -> None:
        stage, token = Stage(EC), EC.sign(claims())
        assert await stage.who(token) == "desk"
        rest = with_token("board", "reader", "opaque")
        stage.callers.roster = read_callers("\n".join((URL, rest)).encode())
        assert stage.at_once(token) == "CALLER_UNKNOWN"
        assert stage.at_once("opaque") == "board"
        # Its keys were kept, as the issuer is the same.
        stage.callers.roster = read_callers("\n".join((URL, DESK)).encode())
        assert stage.at_once(token) == "desk"
        assert stage.source.fetched == 1

        other = issuer_entry("https://id.example.org/jwks", audience="billing")
        stage.callers.roster = read_callers("\n".join((other, DESK)).encode())
        assert await stage.who(token) == "CALLER_UNKNOWN"
        assert stage.source.fetched == 2

    run(test)


def test_an_issuer_that_changes_as_its_keys_arrive_lets_nobody_in_by_its_old_ones() -> None:
    async def test() -> None:
        stage = Stage(EC)
        billing = issuer_entry("https://id.example.org/jwks", audience="billing")
        fetch = stage.source.fetch

        def change() -> None:
            stage.callers.roster = read_callers("\n".join((billing, DESK)).encode())

        async def fetch_and_change(issuer: Issuer) -> bytes:
            # Runs when the keys are there, and before whoever waits for them goes on.
            asyncio.get_running_loop().call_soon(change)
            return await fetch(issuer)

        roster = read_callers("\n".join((URL, DESK)).encode())
        stage.callers = Callers(roster, fetch_and_change, stage.clock, stage.steady)
        assert await stage.who(EC.sign(claims())) == "CALLER_UNKNOWN"

    run(test)


def test_an_issuer_that_is_taken_away_while_its_keys_are_fetched_lets_nobody_in() -> None:
    async def test() -> None:
        stage = Stage(EC)
        stage.source.lets.clear()
        waiting = asyncio.create_task(stage.who(EC.sign(claims())))
        await asyncio.sleep(0)
        billing = issuer_entry("https://id.example.org/jwks", audience="billing")
        stage.callers.roster = read_callers("\n".join((billing, DESK)).encode())
        stage.source.lets.set()

        assert await waiting in {"KEYS_UNAVAILABLE", "CALLER_UNKNOWN"}

    run(test)
