"""Rows of the table that are known to fall short of the bars, and why."""

# Rows in which honest calls are known to come later than they may, and why, by the row's id. The
# bars stay as they are, and all else is asked of them as of every row.
_ONE_BY_ONE = (
    "gRPC keeps one queue of calls for each method of the event service: a search that comes behind"
    " a thousand or more sent in one go waits 0.3 to 0.8 s, 7 to 16 times idle"
)
KNOWN_FAULTS = {
    "mesh: searches in a queue": _ONE_BY_ONE,
}
LEAVING = {
    "provider: chunks of a byte without end": (
        "pyreqwest keeps each chunk of a response by itself, some 100 MiB for eight, until the"
        " requests end, a minute after their callers have left"
    ),
}
