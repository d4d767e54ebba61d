"""How long connections last, beside streams."""

# Connections last longer than streams, so that a stream is always closed gracefully before its
# connection is closed: twice the oldest stream's age.
_CONNECTION_AGE_FACTOR = 2

# A connection of that age accepts no new calls. What it has may go on until its youngest stream
# must have been closed gracefully, and then for half as long again, or for as long as a patient
# caller waits for a response, in seconds. Streams that are left then have stopped reading; health
# watches, which end in no other way, are opened again by those who watch.
_LATE_STREAM_FACTOR = 0.5
_LATE_CALL_S = 60.0


def connection_ages(stream_age_max_s: float) -> tuple[float, float]:
    """Return when a connection accepts no new calls, and how long after that it is closed.

    Both in seconds, for streams of at most this age.
    """
    late = max(stream_age_max_s * _LATE_STREAM_FACTOR, _LATE_CALL_S)
    return stream_age_max_s * _CONNECTION_AGE_FACTOR, stream_age_max_s + late
