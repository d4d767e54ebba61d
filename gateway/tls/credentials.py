"""A certificate and its key, out of files, checked before anybody is served with them."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from gateway.tls.files import NamedFile, TlsFiles
from gateway.watchedfile import contents_of


class CredentialsError(Exception):
    """Files that nobody can be served with. The text begins with the name of a setting."""


@dataclass(frozen=True, slots=True)
class Pem:
    """What is in the files of an address, as it was read; equal if nothing has changed."""

    # It may hold the key, too: some keep both in one file.
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    client_ca: bytes | None = field(repr=False)

    @classmethod
    def read(cls, files: TlsFiles) -> "Pem":
        """Read the files. Raises CredentialsError for one that cannot be read."""
        client_ca = files.client_ca
        return cls(
            _content(files.cert),
            _content(files.key),
            None if client_ca is None else _content(client_ca),
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate that fits its key. `not_after` is when it expires, in seconds since 1970.

    `context` serves with it, in TLS 1.2 or newer, and asks for a client's certificate if there is a
    client CA.
    """

    pem: Pem
    not_after: float
    context: ssl.SSLContext = field(repr=False, compare=False)

    @property
    def expires(self) -> str:
        """When it expires, for people."""
        moment = datetime.fromtimestamp(self.not_after, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

    @classmethod
    def of(cls, pem: Pem, files: TlsFiles, now: float) -> "Credentials":
        """Check what was read; `now` is the time in seconds since 1970.

        Raises CredentialsError for a certificate that does not fit the key, has expired or is not
        valid yet, and for anything that cannot be parsed.
        """
        leaf = _certificates(pem.chain, files.cert.setting)[0]
        key = _key(pem.key, files.key.setting)
        if _public(leaf.public_key()) != _public(key.public_key()):
            raise CredentialsError(
                f"{files.key.setting} is not the key of the first certificate in"
                f" {files.cert.setting}"
            )
        not_before, not_after = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        if now >= not_after.timestamp():
            raise CredentialsError(f"{files.cert.setting} expired at {not_after:%Y-%m-%d %H:%M}")
        if now < not_before.timestamp():
            raise CredentialsError(
                f"{files.cert.setting} is not valid before {not_before:%Y-%m-%d %H:%M} UTC"
            )
        if pem.client_ca is not None and files.client_ca is not None:
            _certificates(pem.client_ca, files.client_ca.setting)
        return cls(pem, not_after.timestamp(), _context(pem, files))


def _content(file: NamedFile) -> bytes:
    try:
        return contents_of(file.path)
    except ValueError as error:
        raise CredentialsError(f"{file.setting} names a file that {error}") from None


def _certificates(pem: bytes, setting: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CredentialsError(
            f"{setting} is not whole certificates in PEM (-----BEGIN CERTIFICATE-----)"
        ) from None


def _key(pem: bytes, setting: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise CredentialsError(f"{setting} is encrypted; it must have no passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        # Not its words: they may quote what is in the file.
        raise CredentialsError(
            f"{setting} is not a whole key in PEM (-----BEGIN PRIVATE KEY-----)"
        ) from None


def _public(key: object) -> bytes:
    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return found


def _context(pem: Pem, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    setting = files.cert.setting
    try:
        with _as_file(pem.chain) as chain, _as_file(pem.key) as key:
            context.load_cert_chain(chain, key)
        if pem.client_ca is not None and files.client_ca is not None:
            setting = files.client_ca.setting
            context.load_verify_locations(cadata=pem.client_ca.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
    except ssl.SSLError as error:
        raise CredentialsError(f"{setting} is refused by OpenSSL: {error.reason}") from None
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Give what was checked as a file, because OpenSSL takes no bytes from Python.

    Read from their own files, certificate and key may have changed since.
    """
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("tls")
        try:
            with open(number, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile() as file:  # for its owner alone
        file.write(data)
        file.flush()
        yield file.name
