"""Rows of the table whose memory is known to come back later than others', and why, by their id."""

LEAVING = {
    "provider: chunks of a byte without end": (
        "pyreqwest keeps each chunk of a response by itself, some 100 MiB for eight, until the"
        " requests end, a minute after their callers have left"
    ),
}
