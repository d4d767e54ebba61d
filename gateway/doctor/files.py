"""The files that settings name: callers, certificates."""

import time
from collections.abc import Iterator

from gateway.callers.assembly import FiledCallers
from gateway.callers.errors import CallersFileError
from gateway.config import Settings
from gateway.doctor.finding import Finding, fault, ok, warning
from gateway.tls.credentials import Credentials, CredentialsError, Pem

# A certificate that expires sooner than this should be replaced, in seconds: most authorities
# renew a month before the end, and an alert comes a week before it.
_SOON_S = 14 * 86_400.0


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is found of each."""
    if settings.callers is not None:
        yield _callers(settings)
    now = time.time()
    for files in settings.tls_files():
        subject = f"certificate of {files.port}"
        try:
            credentials = Credentials.of(Pem.read(files), files, now)
        except CredentialsError as error:
            yield fault(subject, str(error), "put a pair in place that fits and is valid")
            continue
        text = f"expires {credentials.expires}"
        if credentials.not_after - now < _SOON_S:
            yield warning(subject, text, "replace its files; they are taken up without a restart")
        else:
            yield ok(subject, text)


def _callers(settings: Settings) -> Finding:
    assert settings.callers is not None
    try:
        callers = FiledCallers(settings.callers).callers
    except CallersFileError as error:
        return fault("callers", str(error), "correct the file in GATEWAY_CALLERS")
    return ok("callers", f"{len(callers.roster)} in {settings.callers}")
