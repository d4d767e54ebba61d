"""Why a caller that is bound may not do something; the RPC face gives these their statuses."""


class OutOfBoundsError(Exception):
    """A caller asked for something that is outside of what it is bound to."""


class NoSuchConferenceError(OutOfBoundsError):
    """There is no conference with this id, or it is none of the caller's: nobody can tell which."""

    def __init__(self, conference_id: str) -> None:
        super().__init__(conference_id)
        self.conference_id = conference_id


class CallNotTiedError(OutOfBoundsError):
    """No event in the log ties a call to one of the caller's connections."""

    def __init__(self, field: str, call_id: str) -> None:
        super().__init__(field)
        self.field = field
        self.call_id = call_id


class QueueNotGrantedError(OutOfBoundsError):
    """A queue that the caller may not touch, or any queue if `name` is empty."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.name = name


class ConnectionNotNamedError(OutOfBoundsError):
    """A list that must be asked for by one of the caller's connections; `field` is where."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class TooManyCallsError(OutOfBoundsError):
    """A request names more calls than are looked up for one."""

    def __init__(self, count: int, count_max: int) -> None:
        super().__init__(count, count_max)
        self.count = count
        self.count_max = count_max


class MethodNotScopedError(OutOfBoundsError):
    """A method of which the protos do not say what it is about."""
