"""Who may look at the console: everybody on this host, or with a callers file one of them."""

import binascii
from base64 import b64decode
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.address import is_loopback
from gateway.callers.caller import UNNAMED, Caller
from gateway.callers.callers import Callers, Identified
from gateway.callers.credentials import Credentials
from gateway.callers.errors import UnidentifiedError

# A browser asks its user for a name and a password, and sends them with every request, the stream
# of state included (RFC 7617). The token is the password; the name does not matter.
_CHALLENGE = {"www-authenticate": 'Basic realm="telnyx-gateway console", charset="UTF-8"'}


class RefusedError(Exception):
    """Somebody may not look. `response` says why."""

    def __init__(self, status: int, reason: str, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.response: Response = JSONResponse(
            {"error": {"reason": reason, "message": text}}, status, headers=dict(headers)
        )


class Gate:
    """Lets in who may look.

    With `callers` one of them, by its token; a bound one may not, because the console shows
    everything. Without, everybody who asks an address that only this host reaches.
    """

    def __init__(self, callers: Callers | None, *, is_local: bool) -> None:
        self._callers = callers
        self._is_local = is_local

    async def admit(self, request: Request) -> Caller:
        """Return who looks. Raises RefusedError."""
        if self._callers is None:
            return self._anybody(request)
        try:
            found = self._callers.identify(Credentials(bearer=_token(request)))
            identified = found if isinstance(found, Identified) else await found
        except UnidentifiedError as error:
            text = "send the token of a caller as the password"
            raise RefusedError(401, error.why.name, text, _CHALLENGE) from None
        caller = identified.caller
        if caller.is_bound:
            text = f"{caller.name} is bound to connections or queues, and the console shows all"
            raise RefusedError(403, "CALLER_BOUND", text, {})
        return caller

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


def _token(request: Request) -> str | None:
    """Return the token that a request shows; None if it shows nothing."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return None if not scheme else ""
    try:
        return b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _is_name_of_here(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return is_loopback(name.removeprefix("[").removesuffix("]"))
