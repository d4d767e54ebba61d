"""What keeps a subscriber from going on."""

from gateway.feed.start import Loss
from gateway.journal.cursor import Cursor
from gateway.journal.ports import Index


class EventsLostError(Exception):
    """Events that come next cannot be delivered; `loss` says which, and where it can go on.

    `oldest_cursor` and `newest_cursor` are those of what the log holds.
    """

    def __init__(self, loss: Loss, index: Index) -> None:
        super().__init__(loss.reason.value)
        self.loss = loss
        self.oldest_cursor = str(Cursor(index.epoch, index.span.oldest - 1))
        self.newest_cursor = str(Cursor(index.epoch, index.span.newest))
