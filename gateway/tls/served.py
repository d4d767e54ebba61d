"""The certificates of all addresses together."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from gateway.tls.current import CurrentCredentials
from gateway.tls.files import TlsFiles


class ServedCertificates:
    """What the addresses are served with that have a certificate.

    Raises CredentialsError for one that nobody can be served with.
    """

    def __init__(self, files: Iterable[TlsFiles]) -> None:
        self._current = {it.port: CurrentCredentials(it) for it in files}

    def of(self, port: str) -> CurrentCredentials | None:
        """Return the certificate of an address by its name, None if it is served in clear."""
        return self._current.get(port)

    @property
    def expiries(self) -> Mapping[str, Callable[[], float]]:
        """When each expires, in seconds since 1970, asked anew each time; by the address's name."""
        return {port: _expiry_of(it) for port, it in self._current.items()}

    def expired(self, now: float) -> str | None:
        """Say which have expired at a time, in seconds since 1970; None if none has."""
        ports = [port for port, expires in self.expiries.items() if expires() <= now]
        return f"the certificate has expired of: {', '.join(ports)}" if ports else None

    @property
    def work(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What has to run for as long as addresses are served, each by what it is called."""
        return {f"the certificate of {port}": it.follow for port, it in self._current.items()}


def _expiry_of(certificate: CurrentCredentials) -> Callable[[], float]:
    return lambda: certificate.current.not_after
