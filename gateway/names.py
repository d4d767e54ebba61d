"""Names in the environment: which of them somebody meant as a setting and got wrong."""

import difflib
import re
from collections.abc import Mapping, Set

_OURS, _PROVIDERS = "GATEWAY_", "TELNYX_"

# What Kubernetes sets for every Service in a namespace (and Docker for a link), so that a Service
# whose name begins with `gateway` or `telnyx` makes names that look like ours (kubernetes.io,
# "Accessing the Service"): `{NAME}_SERVICE_HOST`, `{NAME}_SERVICE_PORT`, `{NAME}_SERVICE_PORT_WEB`.
_OF_A_SERVICE = re.compile(r".+_SERVICE_(HOST|PORT(_.+)?)")
# `{NAME}_PORT`, `{NAME}_PORT_80_TCP` and what follows from it. A plain number under such a name was
# set by a person.
_OF_A_LINK = re.compile(r".+?_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?")
_LINKS_ADDRESS = re.compile(r"(tcp|udp|sctp)://.+")

# What else Docker sets for a link: `{NAME}_NAME` is a path of names, and `{NAME}_ENV_X` is the
# other container's variable X.
_NAME_OF_A_LINK = re.compile(r".+_NAME")
_LINKS_NAME = re.compile(r"/.+/.+")
_ENV_OF_A_LINK = re.compile(r".+?_ENV_.+")
# Names that others have taken: every CGI program is given GATEWAY_INTERFACE (RFC 3875, 4.1.4), and
# GATEWAY_NAME says no more than what a gateway is called.
_TAKEN = frozenset({"GATEWAY_INTERFACE", "GATEWAY_NAME"})

# How alike two names must be (difflib's ratio, 0 to 1), without their prefix and underscores, for
# one to be taken for the other.
_ALIKE = 0.8

# Words for where something is: people look for the provider's address under each of them, ...
_BASE_URL = "TELNYX_BASE_URL"
_FOR_ITS_URL = frozenset({"BASE", "URL", "URI", "HOST", "ENDPOINT", "ADDRESS"})
# ... and for the gateway's own addresses under these.
_FOR_AN_ADDRESS = frozenset({"PORT", "HOST", "ADDR", "BIND", "LISTEN"})


# What the official SDK reads beside the names that it shares with the gateway.
SDK_NAMES = frozenset(
    {"TELNYX_CLIENT_ID", "TELNYX_CLIENT_SECRET", "TELNYX_CUSTOM_HEADERS", "TELNYX_LOG"}
)

# What other programs read, and the gateway's own setting for the same.
_OF_OTHER_PROGRAMS = {
    "GATEWAY_UPSTREAM_PROXY": ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
    "GATEWAY_UPSTREAM_CA": ("REQUESTS_CA_BUNDLE",),
}


class NameJudge:
    """Tells which names were meant as one of `known`; `others` are names that are no mistakes."""

    def __init__(self, known: tuple[str, ...], others: Set[str]) -> None:
        self._known = known
        self._others = others

    def misspelt(self, env: Mapping[str, str]) -> list[str]:
        """Return a line for each mistake."""
        mistakes = []
        for name, text in sorted(env.items()):
            if name in self._known or name in self._others or not text.strip():
                continue
            if name in _TAKEN or _is_of_containers(name, text):
                continue
            meant = self._meant(name.upper(), env)
            if meant or name.upper().startswith(_OURS):
                shown = name.encode("ascii", "backslashreplace").decode()
                hint = f": did you mean {' or '.join(meant)}?" if meant else ""
                mistakes.append(f"{shown} is not a setting{hint}")
        return mistakes

    def _meant(self, upper: str, env: Mapping[str, str]) -> list[str]:
        """Return what settings a name may stand for, none if it has nothing to do with any."""
        if upper in self._known:
            return [upper]
        # Somebody who sets the right name beside it has still written something in vain.
        slips = [known for known in self._known if _is_a_slip(upper, known)]
        if slips:
            return slips[:1]
        if upper.startswith(_OURS):
            return self._own_settings(upper)
        if upper.startswith(_PROVIDERS):
            return self._provider_settings(upper, env)
        return []

    def _own_settings(self, upper: str) -> list[str]:
        words = {"ADDRESS" if word in _FOR_AN_ADDRESS else word for word in _words(upper)}
        ours = [known for known in self._known if known.startswith(_OURS)]
        best = max(ours, key=lambda known: _likeness(upper, known))
        if _likeness(upper, best) >= _ALIKE:
            return [best]
        found = [known for known in ours if words <= set(_words(known))]
        # Of a setting and the file for it, the setting is what is meant.
        return [it for it in found if it.removesuffix("_FILE") not in found or it[-5:] != "_FILE"]

    def _provider_settings(self, upper: str, env: Mapping[str, str]) -> list[str]:
        # The prefix is the provider's: only what is close to one of ours is our concern, and
        # nothing that is some way off while ours is set.
        unset = [it for it in self._known if it.startswith(_PROVIDERS) and not env.get(it)]
        alike = [known for known in unset if _likeness(upper, known) >= _ALIKE]
        words = set(_words(upper)) - {"API"}
        if not alike and _BASE_URL in unset and words and words <= _FOR_ITS_URL:
            return [_BASE_URL]
        return alike[:1]


def unread(env: Mapping[str, str]) -> list[str]:
    """Return a line for each group of variables that programs obey and the gateway does not."""
    given = {name.upper() for name, text in env.items() if text.strip()}
    return [
        f"{' and '.join(found)} {'has' if len(found) == 1 else 'have'} no effect: use {setting}"
        for setting, others in _OF_OTHER_PROGRAMS.items()
        if given.isdisjoint((setting, f"{setting}_FILE"))
        and (found := [name for name in others if name in given])
    ]


def _is_of_containers(name: str, text: str) -> bool:
    if _OF_A_SERVICE.fullmatch(name) or _ENV_OF_A_LINK.fullmatch(name):
        return True
    if _NAME_OF_A_LINK.fullmatch(name) and _LINKS_NAME.fullmatch(text.strip()):
        return True
    match = _OF_A_LINK.fullmatch(name)
    # What ends in `_ADDR`, `_PORT` or `_PROTO` has a plain value.
    return match is not None and bool(match[3] or _LINKS_ADDRESS.fullmatch(text.strip()))


def _is_a_slip(name: str, known: str) -> bool:
    """Tell whether a slip of the pen makes one name of the other, in the prefix and in the rest.

    A slip is a letter too many, too few or another one, or two of them swapped. Underscores do not
    count.
    """
    prefix, _, rest = name.partition("_")
    known_prefix, _, known_rest = known.partition("_")
    apart = _are_a_slip_apart(prefix, known_prefix) and _are_a_slip_apart(
        rest.replace("_", ""), known_rest.replace("_", "")
    )
    return apart or _are_a_slip_apart(name.replace("_", ""), known.replace("_", ""))


def _are_a_slip_apart(one: str, other: str) -> bool:
    """Tell whether two texts are the same but for a slip at most."""
    if abs(len(one) - len(other)) > 1:
        return False
    begin = 0
    while begin < min(len(one), len(other)) and one[begin] == other[begin]:
        begin += 1
    one, other = one[begin:], other[begin:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _likeness(name: str, known: str) -> float:
    one, other = ("".join(_words(it)) for it in (name, known))
    return difflib.SequenceMatcher(None, one, other).ratio()


def _words(name: str) -> list[str]:
    return name.split("_")[1:]
