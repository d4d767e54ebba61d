"""What is refused before anybody is served with it, and in which words."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.tls.credentials import Credentials, CredentialsError, Pem
from tests.harness.certificates import Authority
from tests.tls.stage import Folder

CA = Authority()
GOOD, OTHER = CA.server(), CA.server()
DAY = timedelta(days=1)
CERT, KEY, CLIENT_CA = (f"GATEWAY_GRPC_TLS_{it}" for it in ("CERT", "KEY", "CLIENT_CA"))


def loaded(folder: Folder, now: float | None = None) -> Credentials:
    return Credentials.of(Pem.read(folder.files), folder.files, time.time() if now is None else now)


def encrypted(folder: Folder) -> None:
    key = load_pem_private_key(GOOD.key, None)
    folder.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


def folder_instead(folder: Folder) -> None:
    folder.cert.unlink()
    folder.cert.mkdir()


def text_in(name: str, data: bytes) -> Callable[[Folder], None]:
    return lambda folder: (getattr(folder, name).write_bytes(data), None)[1]


BAD: dict[str, tuple[Callable[[Folder], None], str]] = {
    "the key of another": (
        text_in("key", OTHER.key),
        f"{KEY} is not the key of the first certificate in {CERT}",
    ),
    "a chain in the wrong order": (
        text_in("cert", CA.pem + GOOD.cert),
        f"{KEY} is not the key of the first certificate in {CERT}",
    ),
    "half a certificate": (text_in("cert", GOOD.cert[:300]), f"{CERT} is not whole certificates"),
    "no PEM": (text_in("cert", b"\0\1\2"), f"{CERT} is not whole certificates in PEM"),
    "an empty file": (text_in("cert", b""), f"{CERT} is not whole certificates in PEM"),
    "half a key": (text_in("key", GOOD.key[:100]), f"{KEY} is not a whole key in PEM"),
    "a key with a passphrase": (encrypted, f"{KEY} is encrypted; it must have no passphrase"),
    "no file": (lambda folder: folder.key.unlink(), f"{KEY} names a file that cannot be read: No"),
    "a folder": (
        folder_instead,
        f"{CERT} names a file that cannot be read: Is a directory",
    ),
    "clients' CA that is none": (
        text_in("client_ca", b"junk"),
        f"{CLIENT_CA} is not whole certificates in PEM",
    ),
    "a file without end": (
        text_in("cert", b"x" * (4 * 2**20 + 1)),
        f"{CERT} names a file that has more than 4194304 bytes",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_files_that_make_no_pair_are_refused_and_no_key_is_shown(what: str, tmp_path: Path) -> None:
    spoil, words = BAD[what]
    folder = Folder(tmp_path, GOOD, CA.pem)
    assert loaded(folder)
    spoil(folder)

    with pytest.raises(CredentialsError) as refused:
        loaded(folder)

    assert str(refused.value).startswith(words)
    assert "PRIVATE KEY" not in repr(refused.value).replace("(-----BEGIN PRIVATE KEY-----)", "")


def test_a_certificate_counts_while_it_is_valid(tmp_path: Path) -> None:
    folder = Folder(tmp_path, CA.server(expires_in=DAY, began_ago=DAY))
    day, now = DAY.total_seconds(), time.time()

    found = loaded(folder)

    assert found.not_after == pytest.approx(now + day, abs=5)
    assert found.expires.endswith(" UTC")
    with pytest.raises(CredentialsError, match=f"{CERT} expired at "):
        loaded(folder, found.not_after)
    with pytest.raises(CredentialsError, match=f"{CERT} is not valid before "):
        loaded(folder, now - day - 5)


def test_what_is_loaded_shows_no_key(tmp_path: Path) -> None:
    found = loaded(Folder(tmp_path, GOOD, CA.pem))

    assert "PRIVATE" not in repr(found)
    assert "BEGIN" not in repr(found)
