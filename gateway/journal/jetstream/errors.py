"""What goes wrong between a gateway and the broker.

LogUnavailableError
+-- BrokerError    it says nothing
|   +-- LostError  there is no connection
|   +-- NotTakenError  there is nobody to take it
+-- RefusedError   it says no
"""

from gateway.journal.errors import LogUnavailableError


class BrokerError(LogUnavailableError):
    """The broker is not there, or has not responded in time: what was asked may have been done."""


class LostError(BrokerError):
    """There is no connection, or it was lost on the way. `Broker.problem` tells when it is back."""


class NotTakenError(BrokerError):
    """Nobody takes what was sent: it has not been stored. Most often there is no such stream."""


class RefusedError(LogUnavailableError):
    """The broker has refused a request; `code` is its number for the reason.

    They are listed in `server/errors.json` of nats-server.
    """

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"the broker refused: {description} (error {code})")
        self.code = code
        self.description = description
