"""The callers of one version of the file, and which of them a proof is of."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TypeAlias

from gateway.callers.caller import Caller
from gateway.callers.claims import ClaimIdentity, ClaimsProof, Issuer
from gateway.callers.credentials import CertificateProof, ForwardedProof, Proof
from gateway.callers.errors import Unidentified, UnidentifiedError
from gateway.callers.forwarded import Forwards
from gateway.callers.patterns import CertificateName, NameKind, NamePattern
from gateway.callers.tokens import TokenDigest

Identity: TypeAlias = NamePattern | TokenDigest | ClaimIdentity

# Certificates whose caller is remembered. Only those that the client CA has signed come here.
_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Entry:
    """A caller with what it is known by: each of these alone is enough."""

    caller: Caller
    identities: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Proxies that may say whose calls they carry, by their certificates, and what they send."""

    pattern: NamePattern
    forwards: Forwards = Forwards.CERTIFICATE


class Roster:
    """Knows callers by their proofs. What it is made of is equal if it is.

    `proxies` are no callers.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        issuers: Sequence[Issuer] = (),
        proxies: Sequence[Proxy] = (),
    ) -> None:
        self._entries = tuple(entries)
        self.issuers = tuple(issuers)
        self._proxies = tuple(proxies)
        self._by_token: dict[bytes, Caller] = {}
        self._by_name: dict[tuple[NameKind, tuple[str, ...]], Caller] = {}
        # By kind and number of segments.
        self._patterns: dict[tuple[NameKind, int], list[tuple[NamePattern, Caller]]] = {}
        # By issuer.
        self._claims: dict[str, list[tuple[ClaimIdentity, Caller]]] = {}
        for entry in self._entries:
            for identity in entry.identities:
                self._add(identity, entry.caller)
        self._by_names: Callable[[tuple[CertificateName, ...]], tuple[Caller, ...]] = lru_cache(
            _REMEMBERED
        )(self._find)
        self._forwards: Callable[[tuple[CertificateName, ...]], Forwards | None] = lru_cache(
            _REMEMBERED
        )(self._find_forwards)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Roster)
            and self._entries == other._entries
            and self.issuers == other.issuers
            and self._proxies == other._proxies
        )

    __hash__ = None  # type: ignore[assignment]  # nothing looks a roster up

    def forwards(self, names: tuple[CertificateName, ...]) -> Forwards | None:
        """Return what the trusted proxy forwards whose certificate has these names.

        None if it is that of no proxy.
        """
        return self._forwards(names) if self._proxies else None

    def caller_of_token(self, digest: TokenDigest) -> Caller | None:
        """Return whose token it is, None if it is nobody's."""
        return self._by_token.get(digest.value)

    def caller_of(self, proof: Proof) -> Caller:
        """Return whose proof it is. Raises UnidentifiedError."""
        found: tuple[Caller, ...]
        match proof:
            case TokenDigest():
                caller = self._by_token.get(proof.value)
                found = () if caller is None else (caller,)
            case CertificateProof(names):
                found = self._by_names(names)
            case ForwardedProof(names, proxy, forwards):
                found = self._by_names(names) if self.forwards(proxy) is forwards else ()
            case ClaimsProof(issuer, _, claims):
                fits = (it for rule, it in self._claims.get(issuer, ()) if rule.fits(claims))
                found = tuple({it.name: it for it in fits}.values())
        if len(found) == 1:
            return found[0]
        raise UnidentifiedError(Unidentified.CALLER_UNKNOWN, _of_nobody(proof, found))

    def _add(self, identity: Identity, caller: Caller) -> None:
        match identity:
            case TokenDigest():
                self._by_token[identity.value] = caller
            case ClaimIdentity():
                self._claims.setdefault(identity.issuer, []).append((identity, caller))
            case NamePattern(kind, segments) if identity.is_exact:
                self._by_name[kind, segments] = caller
            case NamePattern(kind, segments):
                same = self._patterns.setdefault((kind, len(segments)), [])
                same.append((identity, caller))

    def _find_forwards(self, names: tuple[CertificateName, ...]) -> Forwards | None:
        found = {it.forwards for it in self._proxies if any(map(it.pattern.fits, names))}
        # Of two that fit, the one that believes less.
        return next((it for it in Forwards if it in found), None)

    def _find(self, names: tuple[CertificateName, ...]) -> tuple[Caller, ...]:
        found: dict[str, Caller] = {}
        for name in names:
            exact = self._by_name.get((name.kind, name.segments))
            if exact is not None:
                found[exact.name] = exact
            for pattern, caller in self._patterns.get((name.kind, len(name.segments)), ()):
                if pattern.fits(name):
                    found[caller.name] = caller
        return tuple(found.values())


def _of_nobody(proof: Proof, found: Sequence[Caller]) -> str:
    """Return why a proof is not of one caller, if there is something that its holder should know.

    It knows the names in its certificate; whether a token was nearly right is nobody's business.
    """
    match proof:
        case CertificateProof(names) | ForwardedProof(names) if names:
            text = ", ".join(map(str, names))
            if found:
                return f"the names in the client certificate are of more than one caller: {text}"
            return f"no caller that the gateway knows has a name of the client certificate: {text}"
        case CertificateProof() | ForwardedProof():
            return "the client certificate has neither a SPIFFE id (as its only URI) nor a DNS name"
        case ClaimsProof() if found:
            return "the token's claims are of more than one caller"
    return ""


def clashes(placed: Iterable[tuple[str, str, Identity]]) -> Iterator[str]:
    """Return a line for each identity that is that of two callers, or stands there twice.

    Of each identity it is given where it stands, the name of its caller, and itself. Two patterns
    clash if some name fits both, whichever of them says more about it: who a name belongs to must
    not depend on the order or the detail of what others have written.
    """
    tokens: dict[TokenDigest, str] = {}
    claims: dict[str, list[tuple[str, str, ClaimIdentity]]] = {}
    patterns: dict[tuple[NameKind, int], list[tuple[str, str, NamePattern]]] = {}
    for where, name, identity in placed:
        match identity:
            case TokenDigest():
                if identity in tokens:
                    yield f"{where} is the token of {tokens[identity]} again"
                tokens.setdefault(identity, where)
            case ClaimIdentity(issuer):
                claims.setdefault(issuer, []).append((where, name, identity))
            case NamePattern(kind, segments):
                same = patterns.setdefault((kind, len(segments)), [])
                same.append((where, name, identity))
    for same in patterns.values():
        yield from _overlapping(same)
    for rules in claims.values():
        yield from _covering(rules)


def speaking(
    placed: Iterable[tuple[str, str, Identity]], proxies: Iterable[tuple[str, NamePattern]]
) -> Iterator[str]:
    """Return a line for each identity of a caller that fits a name of a proxy, too.

    A call that the proxy carries for nobody would be that caller's.
    """
    named = [(where, it) for where, _, it in placed if isinstance(it, NamePattern)]
    for proxy_where, proxy in proxies:
        for where, pattern in named:
            if proxy.overlaps(pattern):
                yield (
                    f"{proxy_where} ({proxy}) and {where} ({pattern}) fit one name:"
                    " a proxy is no caller"
                )


def _covering(rules: Sequence[tuple[str, str, ClaimIdentity]]) -> Iterator[str]:
    """Return a line for each two of which one fits whatever the other does."""
    for (where, name, one), (other_where, other_name, other) in combinations(rules, 2):
        if one == other:
            yield f"{other_where} is {where} again: {one}"
        elif name != other_name and (one.covers(other) or other.covers(one)):
            yield (
                f"{where} ({one}) and {other_where} ({other}) fit one token, and are of two callers"
            )


def _overlapping(patterns: Sequence[tuple[str, str, NamePattern]]) -> Iterator[str]:
    """Return a line for each two that overlap: of one caller only if they are the same."""
    first: dict[NamePattern, tuple[str, str, NamePattern]] = {}
    for where, name, pattern in patterns:
        if pattern in first:
            yield f"{where} is {first[pattern][0]} again: {pattern}"
        first.setdefault(pattern, (where, name, pattern))
    # An exact name overlaps with patterns only, and there are few of those.
    wide = [it for it in first.values() if not it[2].is_exact]
    exact = [it for it in first.values() if it[2].is_exact]
    pairs = [*combinations(wide, 2), *((one, other) for one in wide for other in exact)]
    for (where, name, pattern), (other_where, other_name, other) in pairs:
        if name != other_name and pattern.overlaps(other):
            yield (
                f"{where} ({pattern}) and {other_where} ({other}) fit one name, and are of two"
                " callers"
            )
