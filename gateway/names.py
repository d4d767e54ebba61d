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

# How alike two names must be (difflib's ratio, 0 to 1) for one to be taken for the other: so alike
# if the other is not set at all, and so alike if it is (TELNYX_PUBLIC_KEYS beside the right one).
_ALIKE = 0.8
_NEARLY_THE_SAME = 0.9


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
            if _is_of_kubernetes(name, text):
                continue
            meant = self._meant(name, env)
            if meant or name.upper().startswith(_OURS):
                shown = name.encode("ascii", "backslashreplace").decode()
                hint = f": did you mean {meant}?" if meant else ""
                mistakes.append(f"{shown} is not a setting{hint}")
        return mistakes

    def _meant(self, name: str, env: Mapping[str, str]) -> str | None:
        """Return the setting that a name stands for, None if it has nothing to do with any."""
        upper = name.upper()
        if upper in self._known:
            return upper
        if upper.startswith(_OURS):
            found = difflib.get_close_matches(upper, self._known, 1)
            return found[0] if found else None
        if upper.startswith(_PROVIDERS):
            return self._provider_setting(upper, env)
        # A letter too many, too few, or two of them swapped, in the prefix.
        found = difflib.get_close_matches(upper, self._known, 1, _NEARLY_THE_SAME)
        return found[0] if found and not env.get(found[0]) else None

    def _provider_setting(self, upper: str, env: Mapping[str, str]) -> str | None:
        # The prefix is the provider's: only what is close to one of ours is our concern.
        core = _core(upper)
        for known in self._known:
            if known.startswith(_PROVIDERS):
                ratio = difflib.SequenceMatcher(None, core, _core(known)).ratio()
                if ratio >= (_NEARLY_THE_SAME if env.get(known) else _ALIKE):
                    return known
        return None


def _is_of_kubernetes(name: str, text: str) -> bool:
    if _OF_A_SERVICE.fullmatch(name):
        return True
    match = _OF_A_LINK.fullmatch(name)
    # What ends in `_ADDR`, `_PORT` or `_PROTO` has a plain value.
    return match is not None and bool(match[3] or _LINKS_ADDRESS.fullmatch(text.strip()))


def _core(name: str) -> str:
    return name.removeprefix(_PROVIDERS).replace("_", "")
