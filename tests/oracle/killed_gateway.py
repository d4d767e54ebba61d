"""The real gateway, that ends itself by kill -9 at one step of one webhook.

Run as `python -m tests.oracle.killed_gateway serve`, with the step and the number of the webhook in
the environment. One method is wrapped; everything else is what users run.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from gateway import app as composition
from gateway.cli import main
from gateway.feed.dispatch import Dispatcher
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.ingest.webhooks.receiver import WEBHOOK_PATH, WebhookReceiver
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.journal import JetStreamJournal
from gateway.journal.jetstream.publishing import Publishing
from gateway.journal.sqlite.copy import LogCopy
from gateway.journal.sqlite.log import SqliteJournal
from gateway.journal.sqlite.writer import GroupWriter
from gateway.server.http import public

STEP, NUMBER = "ORACLE_KILL_STEP", "ORACLE_KILL_NUMBER"


class _Countdown:
    """Kills the process when it has been called so many times."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _any(*_: Any) -> bool:
    return True


def _is_append(_: Any, job: Any) -> bool:
    # Retention submits work, too.
    return hasattr(job, "event")


def _is_event(_: Any, subject: str, *__: Any) -> bool:
    # The API is asked on the same connection.
    return not subject.startswith(("$", "_"))


def _before(
    owner: Any, name: str, counts: Callable[..., bool] = _any
) -> Callable[[_Countdown], None]:
    def wrap(kill: _Countdown) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            if counts(*arguments):
                kill()
            return original(*arguments, **named)

        setattr(owner, name, wrapped)

    return wrap


def _after(
    owner: Any, name: str, counts: Callable[..., bool] = _any
) -> Callable[[_Countdown], None]:
    def wrap(kill: _Countdown) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            if counts(*arguments):
                kill()
            return result

        setattr(owner, name, wrapped)

    return wrap


def _after_awaiting(
    owner: Any, name: str, counts: Callable[..., bool] = _any
) -> Callable[[_Countdown], None]:
    def wrap(kill: _Countdown) -> None:
        original = getattr(owner, name)

        async def wrapped(*arguments: Any, **named: Any) -> Any:
            result = await original(*arguments, **named)
            if counts(*arguments):
                kill()
            return result

        setattr(owner, name, wrapped)

    return wrap


def _after_answering(kill: _Countdown) -> None:
    """Kill when the whole answer to a webhook has been handed to the server."""
    original = public.public_app

    def public_app(*arguments: Any) -> Any:
        application = original(*arguments)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            async def sent(message: Any) -> None:
                await send(message)
                if message["type"] == "http.response.body" and scope["path"] == WEBHOOK_PATH:
                    kill()

            await application(scope, receive, sent)

        return serve

    # Where it is called, not where it lives.
    vars(composition)["public_app"] = public_app


# In the order in which a webhook passes them.
STEPS: dict[str, Callable[[_Countdown], None]] = {
    "before the signature is checked": _before(SignatureVerifier, "verify"),
    "after the signature is checked": _after(SignatureVerifier, "verify"),
    "after the event is decoded": _after(WebhookDecoder, "decode"),
    "before the event is submitted": _before(GroupWriter, "_submit", _is_append),
    "after the event is submitted": _after(GroupWriter, "_submit", _is_append),
    "before the group is stored": _before(GroupWriter, "_store"),
    "before the rows are written": _before(GroupWriter, "_write"),
    "after the commit, before anybody is told": _after(GroupWriter, "_write"),
    "before subscribers are told": _before(Dispatcher, "arrived"),
    "after subscribers are told, before the answer": _after(Dispatcher, "arrived"),
    "after the append has returned": _after_awaiting(SqliteJournal, "append"),
    "after the answer is made": _after_awaiting(WebhookReceiver, "_response"),
    "after the answer is handed to the server": _after_answering,
}

# The same over a stream, from where the log begins.
STEPS_OF_STREAM: dict[str, Callable[[_Countdown], None]] = {
    "before the event is sent": _before(Publishing, "one"),
    "after the event is sent": _after_awaiting(Broker, "publish", _is_event),
    "after the server has stored it": _after_awaiting(Broker, "request", _is_event),
    "before the index has it": _before(LogCopy, "take"),
    "before subscribers are told of it": _before(Dispatcher, "arrived"),
    "after the stream's append has returned": _after_awaiting(JetStreamJournal, "append"),
    "after the answer is handed over": _after_answering,
}

# Steps after which the event must be on disk though nobody was told; before, it must not be.
STORED_FROM = ("after the commit, before anybody is told", "after the server has stored it")
# Steps at which it may or may not have got there.
UNCERTAIN = (
    "before the event is submitted",
    "after the event is submitted",
    "after the event is sent",
)
# Steps after which the poster has its answer.
ANSWERED_FROM = ("after the answer is handed to the server", "after the answer is handed over")


if __name__ == "__main__":
    {**STEPS, **STEPS_OF_STREAM}[os.environ[STEP]](_Countdown(int(os.environ[NUMBER])))
    main()
