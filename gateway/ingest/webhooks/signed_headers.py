"""Which signatures a request's headers hold, in the two schemes, whatever stands beside them.

Telnyx:            telnyx-signature-ed25519: base64, over `{timestamp}|{body}`
Standard Webhooks: webhook-signature: one or more `v1a,{base64}`, over `{id}.{timestamp}.{body}`
                   (the Standard Webhooks specification, asymmetric signatures)

Proxies repeat header lines, join them with commas (RFC 9110, 5.3) and add lines of their own; a
sender that rotates its keys or changes its scheme sends several signatures. Reading one line and
hoping that it is the good one loses the event. Any signature that verifies proves who signed the
body and when, so every reading is tried: each signature with each timestamp (and id) there is.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from typing import NamedTuple, TypeAlias, TypeVar

# Ways to combine repeated lines that are looked at. Two of each, which is what there is in the
# wild, make eight.
_PAIRS_MAX = 64

T = TypeVar("T")
U = TypeVar("U")

_SIGNATURE_BYTES = 64

_TELNYX, _TELNYX_TIME = b"telnyx-signature-ed25519", b"telnyx-timestamp"
_STANDARD, _STANDARD_TIME, _STANDARD_ID = b"webhook-signature", b"webhook-timestamp", b"webhook-id"
_Values: TypeAlias = dict[bytes, list[bytes]]
_NAMES = frozenset((_TELNYX, _TELNYX_TIME, _STANDARD, _STANDARD_TIME, _STANDARD_ID))

# A member of a webhook-signature list with an asymmetric signature; those of other versions are
# skipped, as the specification requires.
_ASYMMETRIC = re.compile(rb"(?:^|[\s,])v1a,([^\s,]*)")


class Reading(NamedTuple):
    """One way to read the headers: what is signed before the body, when, and the signature."""

    prefix: bytes
    timestamp: bytes
    signature: bytes


class Readings(NamedTuple):
    """All ways to read the headers as signed, and what is wrong with the rest of them.

    `missing` names headers without which nothing can be read, `broken` says what is wrong with
    signatures that are none. Either may be there beside good readings.
    """

    found: Sequence[Reading]
    missing: Sequence[str]
    broken: Sequence[str]


def read_signed_headers(headers: Iterable[tuple[bytes, bytes]]) -> Readings:
    """Return the readings of headers as ASGI has them: names in lower case, in their order."""
    values: _Values = {}
    for name, value in headers:
        if name in _NAMES:
            values.setdefault(name, []).append(value)
    readings = [
        read(values)
        for name, read in ((_TELNYX, _telnyx), (_STANDARD, _standard))
        if name in values
    ]
    if len(readings) == 1:
        return readings[0]
    if not readings:
        neither = f"{_TELNYX.decode()} (or {_STANDARD.decode()}, for Standard Webhooks)"
        return Readings((), (neither,), ())
    return Readings(
        # In turns, so that many in one scheme do not keep the other's from being tried.
        [it for turn in zip_longest(*(it.found for it in readings)) for it in turn if it],
        [it for reading in readings for it in reading.missing],
        [it for reading in readings for it in reading.broken],
    )


def _telnyx(values: _Values) -> Readings:
    # There is no comma in base64 or in a number: one within a line joins what were two.
    members = _parts(values[_TELNYX])
    signatures, broken = _signatures(members)
    if not members:
        broken = [f"{_TELNYX.decode()} is empty"]
    timestamps = _parts(values.get(_TELNYX_TIME, ()))
    found = [
        Reading(timestamp + b"|", timestamp, signature)
        for timestamp, signature in _paired(timestamps, signatures)
    ]
    return Readings(found, () if timestamps else (_TELNYX_TIME.decode(),), broken)


def _standard(values: _Values) -> Readings:
    members = [it for line in values[_STANDARD] for it in _ASYMMETRIC.findall(line)]
    signatures, broken = _signatures(members)
    if not members:
        broken = ["webhook-signature has no v1a signature, the only supported version"]
    timestamps = _parts(values.get(_STANDARD_TIME, ()))
    # An id is taken as it stands. With a bar in it, what was signed in the other scheme could be
    # read as signed in this one, cut elsewhere.
    lines = dict.fromkeys(map(bytes.strip, values.get(_STANDARD_ID, ())))
    ids = [line for line in lines if line and b"|" not in line]
    found = [
        Reading(b"%b.%b." % (id_, timestamp), timestamp, signature)
        for id_, (timestamp, signature) in _paired(ids, _paired(timestamps, signatures))
    ]
    there = ((_STANDARD_ID, ids), (_STANDARD_TIME, timestamps))
    return Readings(found, [name.decode() for name, given in there if not given], broken)


def _parts(lines: Sequence[bytes]) -> list[bytes]:
    """Return the different members of lines that hold one or, joined by commas, several."""
    if len(lines) == 1 and b"," not in lines[0]:  # nearly always
        part = lines[0].strip()
        return [part] if part else []
    parts = dict.fromkeys(part.strip() for line in lines for part in line.split(b","))
    return [part for part in parts if part]


def _paired(first: Sequence[T], second: Sequence[U]) -> list[tuple[T, U]]:
    """Return all pairs, those at the same position first: most often these belong together.

    No more than so many, however long the lists are that somebody has sent.
    """
    if len(first) == len(second) == 1:  # nearly always
        return [(first[0], second[0])]
    together = zip(first, second, strict=False)
    others = (
        (one, other)
        for index, one in enumerate(first)
        for other_index, other in enumerate(second)
        if index != other_index
    )
    return list(islice(chain(together, others), _PAIRS_MAX))


def _signatures(texts: Iterable[bytes]) -> tuple[list[bytes], list[str]]:
    """Return the signatures among some texts, and what is wrong with the others."""
    found: dict[bytes, None] = {}
    broken: list[str] = []
    for text in texts:
        try:
            signature = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            broken.append("the signature is not base64")
            continue
        if len(signature) == _SIGNATURE_BYTES:
            found[signature] = None
        else:
            size = len(signature)
            broken.append(f"the signature has {size} bytes; one of Ed25519 has {_SIGNATURE_BYTES}")
    return list(found), broken
