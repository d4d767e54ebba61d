"""Queries in PromQL: which series they choose, by which labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser

# Labels that Prometheus itself gives to what it scrapes, and to buckets.
SCRAPED = {"instance", "job"}
BUCKET = "le"


@dataclass(frozen=True)
class Chosen:
    """Series that a query chooses: `values` are those that a label must have, or may have."""

    name: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def chosen(query: str) -> Iterator[Chosen]:
    """Yield what a query chooses. Raises ValueError for one that is no PromQL."""
    for selector in expressions(query):
        if not isinstance(selector, promql_parser.VectorSelector):
            continue
        matchers = selector.matchers.matchers
        assert selector.name, query
        yield Chosen(
            selector.name,
            frozenset(it.name for it in matchers),
            frozenset(
                (it.name, value)
                for it in matchers
                for value in it.value.split("|")
                if value.isascii() and value.replace("_", "").isalnum()
            ),
        )


def grouped_by(query: str) -> set[str]:
    """Return the labels that aggregations and joins of a query name."""
    found: set[str] = set()
    for expression in expressions(query):
        modifier = getattr(expression, "modifier", None)
        if isinstance(expression, promql_parser.AggregateExpr) and modifier is not None:
            found.update(modifier.labels)
        if isinstance(expression, promql_parser.BinaryExpr) and modifier is not None:
            matching = modifier.matching
            found.update(matching.labels if matching is not None else ())
    return found


def expressions(query: str) -> list[promql_parser.Expr]:
    """Return all parts of a query. Raises ValueError for one that is no PromQL."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(query), found.append)
    return found
