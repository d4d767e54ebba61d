"""Why a conference cannot be read, where that is not the provider's doing."""


class ConferenceError(Exception):
    """A conference cannot be read now; the text says why."""


class TooBusyError(ConferenceError):
    """The turn to ask the provider would come too late, or has not come in time."""


class EndlessListError(ConferenceError):
    """The provider's list of participants has no end."""
