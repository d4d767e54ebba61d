"""The callers of now: who a call is of, by the version of the file that is in force."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic, time
from typing import NamedTuple

from gateway.callers.caller import Caller
from gateway.callers.claims import ClaimsProof
from gateway.callers.credentials import CertificateProof, Credentials, ForwardedProof, Proof
from gateway.callers.errors import Unidentified, UnidentifiedError
from gateway.callers.forwarded import HEADER, ForwardedFormatError, Forwards
from gateway.callers.keyring import Fetch, KeyRings
from gateway.callers.patterns import CertificateName
from gateway.callers.roster import Roster
from gateway.callers.tokens import TokenDigest
from gateway.callers.webtokens import WebTokens, may_be_web_token

# JWTs that have been verified and are remembered, because a signature takes as long as the rest of
# a call: some for each process of each caller. Only those of trusted issuers get here.
_REMEMBERED = 4_096


class Identified(NamedTuple):
    """A caller, and what proves that it is: until `expires_at`, in seconds since 1970."""

    caller: Caller
    proof: Proof

    @property
    def expires_at(self) -> float:
        """When the proof is none any more."""
        return self.proof.expires_at if isinstance(self.proof, ClaimsProof) else inf


class Callers:
    """Names the caller of a call.

    `fetch` gets the keys of issuers. `version` grows when what is known changes: then who has been
    identified before may be somebody else now, or nobody. `now` is the wall clock,
    by which tokens expire, and `steady` the monotonic one, both in seconds.
    """

    def __init__(
        self,
        roster: Roster,
        fetch: Fetch,
        now: Callable[[], float] = time,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self.keys = KeyRings(fetch, self._changed, steady)
        self.version = 0
        self._now = now
        self._web_tokens = WebTokens(self.keys, now)
        self._verified: OrderedDict[bytes, ClaimsProof] = OrderedDict()
        self._roster = roster
        self.keys.use(roster.issuers)

    @property
    def roster(self) -> Roster:
        """The callers of the file."""
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._roster = roster
        self.keys.use(roster.issuers)
        self._changed()

    def identify(self, shown: Credentials) -> Identified | Awaitable[Identified]:
        """Return whose credentials they are, or what that can be awaited of.

        Raises UnidentifiedError, now or when it is awaited.

        A token, if there is one, decides alone: whoever sends one that has been revoked must not
        get in as the proxy whose certificate the connection has. Nor does a proxy itself call: it
        says whose call it carries, and nobody else may say that.
        """
        if shown.bearer is not None:
            return self._of_token(shown.bearer)
        if shown.names is not None:
            forwards = self._roster.forwards(shown.names)
            if forwards is not None:
                return self._identified(_forwarded(shown.names, shown.forwarded, forwards))
            return self._identified(CertificateProof(shown.names))
        raise UnidentifiedError(Unidentified.CREDENTIALS_MISSING)

    def again(self, identified: Identified) -> Caller:
        """Return who the same proof is of now. Raises UnidentifiedError."""
        proof = identified.proof
        if isinstance(proof, ClaimsProof):
            if proof.expires_at <= self._now():
                raise UnidentifiedError(Unidentified.TOKEN_EXPIRED)
            if not self._web_tokens.is_signed_still(proof):
                raise UnidentifiedError(Unidentified.CALLER_UNKNOWN)
        return self._roster.caller_of(proof)

    def _identified(self, proof: Proof) -> Identified:
        return Identified(self._roster.caller_of(proof), proof)

    def _of_token(self, token: str) -> Identified | Awaitable[Identified]:
        digest = TokenDigest.of(token)
        roster = self._roster
        caller = roster.caller_of_token(digest)
        if caller is not None:
            return Identified(caller, digest)
        if not roster.issuers or not may_be_web_token(token):
            return self._identified(digest)
        known = self._verified.get(digest.value)
        if known is None:
            found = self._web_tokens.verify(token)
            if not isinstance(found, ClaimsProof):
                return self._when_verified(digest, found)
            return self._remember(digest, found)
        if known.expires_at <= self._now():
            del self._verified[digest.value]
            raise UnidentifiedError(Unidentified.TOKEN_EXPIRED)
        self._verified.move_to_end(digest.value)
        return self._identified(known)

    async def _when_verified(
        self, digest: TokenDigest, found: Awaitable[ClaimsProof]
    ) -> Identified:
        proof = await found
        # The file may have changed meanwhile, and the issuer with it.
        if not self._web_tokens.is_signed_still(proof):
            raise UnidentifiedError(Unidentified.CALLER_UNKNOWN)
        return self._remember(digest, proof)

    def _remember(self, digest: TokenDigest, proof: ClaimsProof) -> Identified:
        identified = self._identified(proof)
        self._verified[digest.value] = proof
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return identified

    def _changed(self) -> None:
        """Take note that other callers or keys are in force."""
        # A token must not outlive the key that signed it.
        self._verified.clear()
        self.version += 1


def _forwarded(
    proxy: tuple[CertificateName, ...], text: str | None, forwards: Forwards
) -> ForwardedProof:
    """Return what a trusted proxy says of its client. Raises UnidentifiedError."""
    if text is None:
        raise UnidentifiedError(
            Unidentified.CREDENTIALS_MISSING,
            "the proxy has forwarded neither a bearer token nor a client certificate",
        )
    try:
        return ForwardedProof(forwards.names(text), proxy, forwards)
    except ForwardedFormatError as error:
        detail = f"the proxy's {HEADER} {error}"
        raise UnidentifiedError(Unidentified.FORWARDED_UNREADABLE, detail) from None
