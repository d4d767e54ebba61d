"""Checks: promises of the ports as something that can be run on any home."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

from tests.contract.homes import Home
from tests.contract.under_test import LogUnderTest, opened
from tests.harness.loop import LoopThread

# What one step of a check may take on the slowest home, in seconds.
_PATIENCE_S = 60.0

E = TypeVar("E")

Promise: TypeAlias = Callable[[LogUnderTest], Coroutine[Any, Any, None]]
PromiseForAny: TypeAlias = Callable[[LogUnderTest, E], Coroutine[Any, Any, None]]


class Run(Protocol):
    """Runs a check on a home. Raises AssertionError if it does not keep the promise.

    Of a promise that is checked for many examples, a failure is made as small as can be, which
    takes long, unless `at_once`.
    """

    def __call__(self, home: Home, loop: LoopThread, *, at_once: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, as its name says it."""

    name: str
    run: Run
    slow: bool = False


def check(promise: Promise) -> Check:
    """Make a check that runs on a new log."""

    def run(home: Home, loop: LoopThread, *, at_once: bool = False) -> None:
        with _new_log(home, loop) as log:
            loop.run(promise(log), _PATIENCE_S)

    return Check(promise.__name__, run)


def slow(quick: Check) -> Check:
    """Say of a check that it takes long on some homes."""
    return replace(quick, slow=True)


def check_for_any(
    examples: SearchStrategy[E], count: int, filled: Promise | None = None
) -> Callable[[PromiseForAny[E]], Check]:
    """Make a check that runs for many examples, on a new log each time.

    Or on one log, which is `filled` before, and which the examples only read.
    """

    def made(promise: PromiseForAny[E]) -> Check:
        def run(home: Home, loop: LoopThread, *, at_once: bool = False) -> None:
            @settings(max_examples=max(count // home.one_in, 1), phases=_phases(at_once))
            @given(examples)
            def each_on_its_own(example: E) -> None:
                with _new_log(home, loop) as log:
                    loop.run(promise(log, example), _PATIENCE_S)

            each_on_its_own()

        def run_on_one(home: Home, loop: LoopThread, *, at_once: bool = False) -> None:
            assert filled is not None
            with _new_log(home, loop) as log:
                loop.run(filled(log), _PATIENCE_S)

                @settings(max_examples=max(count // home.one_in, 1), phases=_phases(at_once))
                @given(examples)
                def each(example: E) -> None:
                    loop.run(promise(log, example), _PATIENCE_S)

                each()

        return Check(promise.__name__, run if filled is None else run_on_one, slow=True)

    return made


def _phases(at_once: bool) -> list[Phase]:
    return [Phase.generate] if at_once else list(Phase)


@contextmanager
def _new_log(home: Home, loop: LoopThread) -> Iterator[LogUnderTest]:
    context = opened(home)
    log = loop.run(context.__aenter__(), _PATIENCE_S)
    try:
        yield log
    finally:
        loop.run(context.__aexit__(None, None, None), _PATIENCE_S)
