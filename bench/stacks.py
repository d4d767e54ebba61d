"""Sampled stacks, summed up by function."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# From this share of all samples on a function counts as always running.
_ALWAYS = 0.9


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """The share of all samples in which a function ran itself, and in which it was on the stack."""

    name: str
    own: float
    cumulative: float


@dataclass(frozen=True, slots=True)
class Stacks:
    """The costs of all functions that were seen."""

    samples: int
    costs: tuple[FunctionCost, ...]

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Stacks":
        """Read stacks in collapsed form, `outer;inner;innermost count` a line."""
        own: Counter[str] = Counter()
        cumulative: Counter[str] = Counter()
        for line in lines:
            stack, _, count = line.rpartition(" ")
            if not stack:
                continue
            functions = stack.split(";")
            own[functions[-1]] += int(count)
            for function in set(functions):  # a recursive function is on the stack once
                cumulative[function] += int(count)
        samples = sum(own.values())
        return cls(
            samples,
            tuple(
                FunctionCost(name, own[name] / samples, count / samples)
                for name, count in cumulative.items()
            ),
        )

    def costliest(self, count: int) -> tuple[list[FunctionCost], list[FunctionCost]]:
        """Return the functions with the highest own and the highest cumulative costs.

        Functions that are always on the stack (the event loop) are no news and left out.
        """
        telling = [cost for cost in self.costs if cost.cumulative < _ALWAYS]
        return (
            sorted(self.costs, key=lambda cost: cost.own, reverse=True)[:count],
            sorted(telling, key=lambda cost: cost.cumulative, reverse=True)[:count],
        )
