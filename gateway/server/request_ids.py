"""Request ids: the one id by which a call is found in logs, errors and at the provider."""

import random
import re
from collections.abc import Iterable

# Where callers, Envoy and many others say it: in the metadata of a call, in a header.
HEADER = "x-request-id"

# Printable ASCII without blanks, as HTTP headers and lines of a log take it, and no longer than the
# longest ids in use (a UUID has 36 characters, nginx makes 32).
_FIT = re.compile(r"[!-~]{1,64}")

_random = random.Random().getrandbits


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the id that a caller has given its call, or a new one if that is none or is unfit.

    New ones are 32 hexadecimal digits; they are random, and no secret.
    """
    for name, value in metadata:
        if name == HEADER:
            if isinstance(value, str) and _FIT.fullmatch(value):
                return value
            break
    return f"{_random(128):032x}"
