"""The names of callers in certificates that somebody has verified."""

from collections.abc import Callable
from functools import lru_cache

from cryptography import x509

from gateway.callers.patterns import CertificateName, names_in


class UnreadableCertificateError(ValueError):
    """A certificate whose names cannot be read."""


def names_in_pem(pem: bytes) -> tuple[CertificateName, ...]:
    """Return the names that a certificate has for a caller. Raises UnreadableCertificateError."""
    return _read(x509.load_pem_x509_certificate, pem)


# Of each certificate that comes, its names are read once; a client CA has signed it.
@lru_cache(1_024)
def verified_names(der: bytes) -> tuple[CertificateName, ...]:
    """Return the names in a verified certificate; none of one that cannot be read."""
    try:
        return _read(x509.load_der_x509_certificate, der)
    except UnreadableCertificateError:
        return ()


def _read(load: Callable[[bytes], x509.Certificate], encoded: bytes) -> tuple[CertificateName, ...]:
    try:
        extensions = load(encoded).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        raise UnreadableCertificateError from None
    return names_in(
        names.get_values_for_type(x509.UniformResourceIdentifier),
        names.get_values_for_type(x509.DNSName),
    )
