"""Who may look at the console: everybody on this host, or with a callers file one of them."""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.address import is_loopback
from gateway.callers.caller import UNNAMED, Caller
from gateway.callers.callers import Callers, Identified
from gateway.callers.certificates import verified_names
from gateway.callers.credentials import Credentials
from gateway.callers.errors import UnidentifiedError
from gateway.callers.forwarded import HEADER
from gateway.server.http.peer import kept_certificate

# A browser asks its user for a name and a password, and sends them with every request, the stream
# of state included (RFC 7617). The token is the password; the name does not matter. Who has neither
# that nor a certificate is asked.
_CHALLENGE = {"www-authenticate": 'Basic realm="telnyx-gateway console", charset="UTF-8"'}


class RefusedError(Exception):
    """Somebody may not look. `response` says why."""

    def __init__(self, status: int, reason: str, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.response: Response = JSONResponse(
            {"error": {"reason": reason, "message": text}}, status, headers=dict(headers)
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who looks. `may_stay` tells whether it is still the same, for what lasts."""

    caller: Caller
    may_stay: Callable[[], bool]


class Gate:
    """Lets in who may look.

    With `callers` one of them, by what gRPC knows it by: its token, its certificate, or what a
    trusted proxy says of that. A bound one may not, because the console shows everything. Without,
    everybody who asks an address that only this host reaches.
    """

    def __init__(self, callers: Callers | None, *, is_local: bool) -> None:
        self._callers = callers
        self._is_local = is_local

    async def admit(self, request: Request) -> Admitted:
        """Return who looks. Raises RefusedError."""
        callers = self._callers
        if callers is None:
            return Admitted(self._anybody(request), lambda: True)
        try:
            found = callers.identify(_credentials(request))
            identified = found if isinstance(found, Identified) else await found
        except UnidentifiedError as error:
            text = (
                f"{error}: give the token of a caller as the password, or show a client"
                " certificate of one"
            )
            raise RefusedError(401, error.why.name, text, _CHALLENGE) from None
        caller = identified.caller
        if caller.is_bound:
            text = f"{caller.name} is bound to connections or queues, and the console shows all"
            raise RefusedError(403, "CALLER_BOUND", text, {})

        def may_stay() -> bool:
            try:
                now = callers.again(identified)
            except UnidentifiedError:
                return False
            return (now.name, now.role, now.is_bound) == (caller.name, caller.role, False)

        return Admitted(caller, may_stay)

    def _anybody(self, request: Request) -> Caller:
        if not self._is_local:
            text = (
                "other hosts reach this address (GATEWAY_ADMIN_ADDRESS): set GATEWAY_CALLERS, so"
                " that the console can ask who looks, or GATEWAY_CONSOLE=off"
            )
            raise RefusedError(403, "CALLERS_NEEDED", text, {})
        # A page from elsewhere can have its name resolved to this host, and then asks as its own
        # origin (DNS rebinding). Its name still stands in the request.
        if not _is_name_of_here(request.headers.get("host", "")):
            text = "ask for the console by localhost or a loopback address"
            raise RefusedError(403, "HOST_UNKNOWN", text, {})
        return UNNAMED


def _credentials(request: Request) -> Credentials:
    """Return what a request shows of its caller: see `Credentials`."""
    shown = request.headers.getlist("authorization")
    if shown:
        return Credentials(bearer=_token(shown[0]) if len(shown) == 1 else "")
    certificate = kept_certificate(request.scope["state"])
    return Credentials(
        None if certificate is None else verified_names(certificate),
        # Several headers are one with commas (RFC 9110, 5.3).
        forwarded=",".join(request.headers.getlist(HEADER)) or None,
    )


def _token(shown: str) -> str:
    """Return the token in an `authorization` header, an empty text if it has none."""
    scheme, _, rest = shown.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _is_name_of_here(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return is_loopback(name.removeprefix("[").removesuffix("]"))
