"""The callers file: who there is, in TOML.

    [issuers."https://id.example.org"]
    audience = "telnyx-gateway"
    jwks = "https://id.example.org/.well-known/jwks.json"

    [[proxies]]
    spiffe = "spiffe://example.org/ns/edge/sa/envoy"

    [callers.desk]
    role = "operator"
    identities = [
      { spiffe = "spiffe://example.org/ns/voice/sa/desk" },
      { token_sha256 = "..." },
      { issuer = "https://id.example.org", subject = "desk" },
    ]

Everything in it counts: a word that nobody knows is a mistake, as it may have been meant as a
limit.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from gateway.callers.caller import Caller, Role
from gateway.callers.claims import ClaimIdentity, Issuer, check_keys_at
from gateway.callers.errors import CallersFileError
from gateway.callers.forwarded import Forwards
from gateway.callers.limits import DEFAULTS, Limits
from gateway.callers.patterns import NameKind, NamePattern
from gateway.callers.roster import Entry, Identity, Proxy, Roster, clashes, speaking
from gateway.callers.tokens import TokenDigest

# So that a name is a label in metrics, a word in lines, and a bare key in the file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

# Names become labels of metrics, each of which has a cost; and reading must take milliseconds.
CALLERS_MAX = 1_000
IDENTITIES_MAX = 20

# The largest file, in bytes.
BYTES_MAX = 1024 * 1024

# What can be said of a caller.
_KEYS = ("role", "identities", "connections", "queues", "limits")

_ROLES = {role.name.lower(): role for role in Role}

# What tells certificates by a name, and what else a caller may be known by.
_NAMES: Mapping[str, Callable[[str], NamePattern]] = {
    "spiffe": partial(NamePattern.read, NameKind.SPIFFE),
    "dns": partial(NamePattern.read, NameKind.DNS),
}
_IDENTITIES: Mapping[str, Callable[[str], Identity]] = {
    **_NAMES,
    "token_sha256": TokenDigest.read,
}

_Read = TypeVar("_Read")

Bind: TypeAlias = Callable[[Caller], Caller]


def read_callers(data: bytes, bind: Bind | None = None) -> Roster:
    """Read a callers file.

    `bind` completes each caller that is bound to connections or queues with what follows from
    that; without it none can be bound. Raises CallersFileError.
    """
    reading = _Reading(bind)
    roster = reading.roster(_document(data))
    if reading.mistakes:
        raise CallersFileError("\n".join(reading.mistakes))
    return roster


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        # Not only TOMLDecodeError: a number of more digits than Python converts is another one.
        raise CallersFileError(f"is not TOML: {error}") from None
    except RecursionError:
        raise CallersFileError("has lists or tables that are nested too deeply") from None


class _Reading:
    """One reading of a file, which goes on after a mistake to find them all."""

    def __init__(self, bind: Bind | None) -> None:
        self._bind = bind
        self._issuers: frozenset[str] = frozenset()
        self.mistakes: list[str] = []

    def roster(self, document: Mapping[str, Any]) -> Roster:
        self._check_keys("the file", document, ("callers", "issuers", "proxies"))
        issuers = tuple(
            issuer
            for name, table in self._table("issuers", document.get("issuers", {})).items()
            if (issuer := self._issuer(name, table)) is not None
        )
        self._issuers = frozenset(document.get("issuers", {}))
        tables = self._table("callers", document.get("callers", {}))
        if not tables:
            self._wrong("callers", "is empty: nobody could call")
        if len(tables) > CALLERS_MAX:
            self._wrong("callers", f"has {len(tables)} callers; {CALLERS_MAX} is the maximum")
            return Roster(())
        placed: list[tuple[str, str, Identity]] = []
        entries = [self._entry(name, table, placed) for name, table in tables.items()]
        self.mistakes += clashes(placed)
        proxies = self._proxies(document.get("proxies", []))
        self.mistakes += speaking(placed, ((where, it.pattern) for where, it in proxies))
        return Roster(tuple(entries), issuers, tuple(proxy for _, proxy in proxies))

    def _proxies(self, value: Any) -> list[tuple[str, Proxy]]:
        """Read who may say whose calls they carry: each with where it stands."""
        if not isinstance(value, list):
            self._wrong("proxies", "must be a list of tables: [[proxies]]")
            return []
        if len(value) > IDENTITIES_MAX:
            self._wrong("proxies", f"has {len(value)} proxies; {IDENTITIES_MAX} is the maximum")
            return []
        found: list[tuple[str, Proxy]] = []
        for number, one in enumerate(value, 1):
            where = f"proxies[{number}]"
            table = dict(self._table(where, one))
            forwards = table.pop("forwards", Forwards.CERTIFICATE)
            if forwards not in list(Forwards):
                self._wrong(f"{where}.forwards", f"must be one of {', '.join(Forwards)}")
                forwards = Forwards.CERTIFICATE
            self._check_keys(where, table, (*_NAMES, "forwards"))
            pattern = self._one_of(where, table, _NAMES, _NAMES)
            if pattern is not None:
                found.append((where, Proxy(pattern, Forwards(forwards))))
        return found

    def _entry(self, name: str, value: Any, placed: list[tuple[str, str, Identity]]) -> Entry:
        where = f"callers.{name}"
        if not _NAME.fullmatch(name):
            where = f"callers.{name[:80]!r}"
            self._wrong(where, "is no name: use up to 63 letters, digits, - and _")
        table = self._table(where, value)
        self._check_keys(where, table, _KEYS)
        caller = Caller(
            name,
            self._role(f"{where}.role", table.get("role")),
            self._bounds(f"{where}.connections", table.get("connections")),
            self._bounds(f"{where}.queues", table.get("queues")),
            limits=self._limits(f"{where}.limits", table.get("limits", {})),
        )
        if caller.connections is not None or caller.queues is not None:
            caller = self._bound(where, caller)
        given = table.get("identities", [])
        where = f"{where}.identities"
        if not isinstance(given, list) or not given:
            self._wrong(where, "must list at least one identity, such as { dns = ... }")
            given = []
        elif len(given) > IDENTITIES_MAX:
            self._wrong(where, f"has {len(given)} identities; {IDENTITIES_MAX} is the maximum")
            given = []
        found: list[Identity] = []
        for number, one in enumerate(given, 1):
            identity = self._identity(f"{where}[{number}]", one)
            if identity is not None:
                found.append(identity)
                placed.append((f"{where}[{number}]", name, identity))
        return Entry(caller, tuple(found))

    def _bound(self, where: str, caller: Caller) -> Caller:
        if self._bind is None:
            self._wrong(where, "is bound to connections or queues, which is not supported yet")
            return caller
        return self._bind(caller)

    def _role(self, where: str, value: Any) -> Role:
        role = _ROLES.get(value) if isinstance(value, str) else None
        if role is None:
            self._wrong(where, f"must be one of {', '.join(_ROLES)}")
        return role or Role.READER

    def _limits(self, where: str, value: Any) -> Limits:
        try:
            return Limits.of(self._table(where, value))
        except ValueError as error:
            for line in str(error).splitlines():
                self._wrong(f"{where}:", line)
            return DEFAULTS

    def _bounds(self, where: str, value: Any) -> frozenset[str] | None:
        if value is None:
            return None
        # An empty list would be read as "all" by one and as "none" by another.
        if not isinstance(value, list) or not value:
            self._wrong(where, "must list at least one; leave it out for no bounds")
            return frozenset()
        if not all(isinstance(it, str) and it for it in value):
            self._wrong(where, "must list texts in quotes, none of them empty")
            return frozenset()
        return frozenset(value)

    def _identity(self, where: str, value: Any) -> Identity | None:
        table = self._table(where, value)
        if "issuer" in table:
            return self._claims(where, table)
        listed = (*_IDENTITIES, "issuer")
        self._check_keys(where, table, listed)
        return self._one_of(where, table, _IDENTITIES, listed)

    def _one_of(
        self,
        where: str,
        table: Mapping[str, Any],
        kinds: Mapping[str, Callable[[str], _Read]],
        listed: Iterable[str],
    ) -> _Read | None:
        """Read the one text of a table, by its kind."""
        chosen = [kind for kind in kinds if kind in table]
        if len(chosen) != 1:
            if table.keys() <= kinds.keys():
                self._wrong(where, f"must have one of {', '.join(listed)}, and only one")
            return None
        (kind,) = chosen
        if not isinstance(table[kind], str):
            self._wrong(f"{where}.{kind}", "must be a text in quotes")
            return None
        try:
            return kinds[kind](table[kind])
        except ValueError as error:
            self._wrong(f"{where}.{kind}", str(error))
            return None

    def _claims(self, where: str, table: Mapping[str, Any]) -> ClaimIdentity | None:
        before = len(self.mistakes)
        self._check_keys(where, table, ("issuer", "subject", "claim", "value"))
        issuer = table["issuer"]
        if not isinstance(issuer, str) or issuer not in self._issuers:
            self._wrong(f"{where}.issuer", 'is none of the file\'s issuers ([issuers."..."])')
            return None
        claims: set[tuple[tuple[str, ...], str]] = set()
        if "subject" in table:
            claims.add((("sub",), self._text(f"{where}.subject", table["subject"])))
        if "claim" in table or "value" in table:
            path = table.get("claim")
            named = [path] if isinstance(path, str) else path
            if not isinstance(named, list) or not all(isinstance(it, str) and it for it in named):
                named = []
            if not named:
                self._wrong(f"{where}.claim", "must be a name in quotes, or a list of names")
            claims.add((tuple(named), self._text(f"{where}.value", table.get("value"))))
        if not claims:
            # Any service with a token of that issuer would be this caller.
            self._wrong(where, "must have a subject, or a claim with its value")
        is_right = len(self.mistakes) == before
        return ClaimIdentity(issuer, frozenset(claims)) if is_right else None

    def _issuer(self, name: str, value: Any) -> Issuer | None:
        where = f"issuers.{name[:200]!r}"
        table = self._table(where, value)
        self._check_keys(where, table, ("audience", "jwks", "ca"))
        given = table.get("audience")
        audiences = [given] if isinstance(given, str) else given
        if not isinstance(audiences, list) or not audiences:
            # Without one, a token that was issued for any other service would do here.
            self._wrong(f"{where}.audience", "must be a text in quotes, or a list of them")
            audiences = []
        audiences = [self._text(f"{where}.audience", it) for it in audiences]
        keys_at, ca = self._text(f"{where}.jwks", table.get("jwks")), table.get("ca")
        try:
            check_keys_at(keys_at)
        except ValueError as error:
            self._wrong(f"{where}.jwks", str(error))
        if ca is not None and not Path(self._text(f"{where}.ca", ca)).is_absolute():
            self._wrong(f"{where}.ca", "must be the absolute path of a file")
            return None
        return Issuer(name, tuple(audiences), keys_at, None if ca is None else Path(ca))

    def _text(self, where: str, value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        self._wrong(where, "must be a text in quotes")
        return ""

    def _table(self, where: str, value: Any) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self._wrong(where, "must be a table")
        return {}

    def _check_keys(self, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        for key in sorted(table.keys() - set(known)):
            meant = difflib.get_close_matches(key, known, 1)
            hint = f": did you mean {meant[0]}?" if meant else f"; known are {', '.join(known)}"
            self._wrong(where, f"has {key[:80]!r}, which means nothing{hint}")

    def _wrong(self, where: str, text: str) -> None:
        self.mistakes.append(f"{where} {text}")
