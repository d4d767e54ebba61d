"""Encoding: events as messages of the stream.

A message has everything that an index is made of. The keys are in it as they were declared where it
was stored, so that nobody has to read them out of the body again; a gateway that declares others
does.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b

from gateway.journal.events import Keys, NewEvent
from gateway.journal.format import EventFormat
from gateway.schema.event_keys import EventKey

_VERSION = 1

# Version, fingerprint of the keys, time of receipt, how many keys there are, and the lengths of id,
# type and body; then that of each key; then all of these, and at the end the signed bytes.
_HEAD = struct.Struct(">B8sqHIII")


class ForeignMessageError(Exception):
    """A message that this gateway cannot read: it is another program's, or of a later release."""


class Encoding:
    """Writes and reads events of a format."""

    def __init__(self, format_: EventFormat) -> None:
        self._format = format_
        self._fingerprint = _fingerprint(format_.keys)
        self._lengths = struct.Struct(f">{len(format_.keys)}I")

    def encoded(self, event: NewEvent) -> bytes:
        """Return an event as a message."""
        id_, type_ = event.id.encode(), event.type.encode()
        keys = [it.encode() for it in event.keys]
        head = _HEAD.pack(
            _VERSION,
            self._fingerprint,
            event.received_at_us,
            len(keys),
            len(id_),
            len(type_),
            len(event.body),
        )
        lengths = self._lengths.pack(*map(len, keys))
        return b"".join((head, lengths, id_, type_, *keys, event.body, event.raw))

    def decoded(self, message: bytes) -> NewEvent:
        """Return the event in a message. Raises ForeignMessageError."""
        try:
            return self._decoded(message)
        except (struct.error, UnicodeDecodeError):
            raise ForeignMessageError("it is no event") from None

    def _decoded(self, message: bytes) -> NewEvent:
        version, fingerprint, received_at_us, count, id_, type_, body = _HEAD.unpack_from(message)
        if version != _VERSION:
            raise ForeignMessageError(f"it has version {version}, this gateway reads {_VERSION}")
        own = fingerprint == self._fingerprint
        layout = self._lengths if own else struct.Struct(f">{count}I")
        keys = layout.unpack_from(message, _HEAD.size)
        begins = _HEAD.size + layout.size
        body_begins = begins + id_ + type_ + sum(keys)
        body_ends = body_begins + body
        if body_ends > len(message):
            raise ForeignMessageError("it is cut off")
        parts = _texts(message[begins:body_begins], (id_, type_, *keys))
        content = message[body_begins:body_ends]
        found = tuple(parts[2:]) if own else self._keys_in(content)
        return NewEvent(parts[0], parts[1], found, received_at_us, content, message[body_ends:])

    def _keys_in(self, body: bytes) -> Keys:
        try:
            return self._format.keys_of(body)
        except ValueError:
            return ("",) * len(self._format.keys)


def _texts(together: bytes, lengths: Sequence[int]) -> list[str]:
    """Return texts of some lengths in bytes. Raises UnicodeDecodeError."""
    texts: list[str] = []
    at = 0
    if together.isascii():
        text = together.decode()
        for length in lengths:
            texts.append(text[at : at + length])
            at += length
        return texts
    for length in lengths:
        texts.append(together[at : at + length].decode())
        at += length
    return texts


def _fingerprint(keys: Sequence[EventKey]) -> bytes:
    """Return what tells keys and their order from others."""
    return blake2b(repr([it.name for it in keys]).encode(), digest_size=8).digest()
