"""The callers of now: who a call is of, by the version of the file that is in force."""

from typing import NamedTuple

from gateway.callers.caller import Caller
from gateway.callers.credentials import CertificateProof, Credentials, Proof
from gateway.callers.errors import Unidentified, UnidentifiedError
from gateway.callers.roster import Roster
from gateway.callers.tokens import TokenDigest


class Identified(NamedTuple):
    """A caller, and what proves that it is."""

    caller: Caller
    proof: Proof


class Callers:
    """Names the caller of a call.

    `version` grows when what is known changes: then who has been identified before may be somebody
    else now, or nobody.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.version = 0

    @property
    def roster(self) -> Roster:
        """The callers of the file."""
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._roster = roster
        self.version += 1

    def identify(self, shown: Credentials) -> Identified:
        """Return whose credentials they are. Raises UnidentifiedError.

        A token, if there is one, decides alone: whoever sends one that has been revoked must not
        get in as the proxy whose certificate the connection has.
        """
        proof: Proof
        if shown.bearer is not None:
            proof = TokenDigest.of(shown.bearer)
        elif shown.names is not None:
            proof = CertificateProof(shown.names)
        else:
            raise UnidentifiedError(Unidentified.CREDENTIALS_MISSING)
        return Identified(self._roster.caller_of(proof), proof)

    def again(self, identified: Identified) -> Caller:
        """Return who the same proof is of now. Raises UnidentifiedError."""
        return self._roster.caller_of(identified.proof)
