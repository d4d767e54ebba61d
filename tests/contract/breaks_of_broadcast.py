"""Broken broadcasts."""

from gateway.journal.errors import LogUnavailableError
from tests.contract import broadcast
from tests.contract.broken import broken
from tests.contract.memory import MemoryBroadcast


class _HearsItself(MemoryBroadcast):
    def send(self, message: bytes) -> None:
        super().send(message)
        self.hear(message)


class _TellsOne(MemoryBroadcast):
    def send(self, message: bytes) -> None:
        for one in [it for it in self.kept.broadcasts if it is not self][:1]:
            one.hear(message)


class _TellsOn(MemoryBroadcast):
    def hear(self, message: bytes) -> None:
        super().hear(message)
        for one in self.kept.broadcasts:
            if one is not self:
                MemoryBroadcast.hear(one, message)


class _TellsTheLatestFirst(MemoryBroadcast):
    def hear(self, message: bytes) -> None:
        if message.isdigit() and int(message) % 2 == 0:
            self.later = message
            return
        super().hear(message)
        if later := getattr(self, "later", None):
            super().hear(later)


class _KeepsAHundred(MemoryBroadcast):
    def send(self, message: bytes) -> None:
        # But the last: who waits for that does not wait for ever.
        if message.isdigit() and 100 <= int(message) < 499:
            self.dropped += 1
        else:
            super().send(message)


class _SendsNothingThatIsEmpty(MemoryBroadcast):
    def send(self, message: bytes) -> None:
        if message:
            super().send(message)


class _TakesMessagesForLines(MemoryBroadcast):
    def hear(self, message: bytes) -> None:
        super().hear(message.partition(b"\r\n")[0])


class _TellsWhoCameFirst(MemoryBroadcast):
    def hear(self, message: bytes) -> None:
        for receiver in self.receivers[:1]:
            receiver(message)


class _FailsAfterTheEnd(MemoryBroadcast):
    def send(self, message: bytes) -> None:
        if self not in self.kept.broadcasts:
            raise LogUnavailableError("the event log is closed")
        super().send(message)


BREAKS = (
    broken(
        "hears itself",
        broadcast.all_others_hear_what_one_sends_and_it_does_not_itself,
        broadcast=_HearsItself,
    ),
    broken(
        "tells what it has heard",
        broadcast.all_others_hear_what_one_sends_and_it_does_not_itself,
        broadcast=_TellsOn,
    ),
    broken(
        "tells the latest first",
        broadcast.a_burst_is_heard_in_its_order,
        broadcast=_TellsTheLatestFirst,
    ),
    broken(
        "keeps a hundred messages",
        broadcast.a_burst_is_heard_in_its_order,
        broadcast=_KeepsAHundred,
    ),
    broken(
        "sends nothing that is empty",
        broadcast.a_message_is_any_bytes,
        broadcast=_SendsNothingThatIsEmpty,
    ),
    broken(
        "takes messages for lines",
        broadcast.a_message_is_any_bytes,
        broadcast=_TakesMessagesForLines,
    ),
    broken(
        "tells who came first",
        broadcast.all_who_listen_are_told,
        broadcast=_TellsWhoCameFirst,
    ),
    broken(
        "fails to send after the end",
        broadcast.sending_fails_for_nobody,
        broadcast=_FailsAfterTheEnd,
    ),
)
