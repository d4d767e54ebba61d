"""Rows of the table that are known to fall short of the bars, and why."""

# Rows in which honest calls are known to come later than they may, and why, by the row's id. The
# bars stay as they are, and all else is asked of them as of every row.
_ONE_BY_ONE = (
    "gRPC keeps one queue of calls for each method of the event service: a search that comes behind"
    " a thousand or more sent in one go waits 0.3 to 2 s"
)
_ALL_AT_ONCE = (
    "2,000 connections at once with large bodies take the loop 0.1 to 0.15 ms each, before the"
    " first word can be refused: webhooks behind them wait 0.2 to 0.6 s"
)
_ALL_OTHERS = (
    "gRPC keeps one queue for commands and for methods that nobody has: a command that comes behind"
    " 2,400 of the latter waits 0.3 to 0.6 s"
)
KNOWN_FAULTS = {
    "mesh: methods that nobody knows": _ALL_OTHERS,
    "mesh: searches in a queue": _ONE_BY_ONE,
    "internet: bodies held back without a signature": _ALL_AT_ONCE,
    "internet: bodies held back": _ALL_AT_ONCE,
}
LEAVING = {
    "provider: chunks of a byte without end": (
        "pyreqwest keeps each chunk of a response by itself, some 100 MiB for eight, until the"
        " requests end, a minute after their callers have left"
    ),
}
