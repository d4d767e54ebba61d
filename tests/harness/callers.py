"""Callers files, with tokens whose text the test knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.callers.tokens import TokenDigest


def digest(token: str) -> str:
    return TokenDigest.of(token).value.hex()


def entry(name: str, role: str, *identities: str) -> str:
    """A caller as it stands in the file; identities are inline tables without their braces."""
    listed = "".join(f"  {{ {it} }},\n" for it in identities)
    return f'[callers.{name}]\nrole = "{role}"\nidentities = [\n{listed}]\n'


def with_token(name: str, role: str, *tokens: str) -> str:
    """A caller that is known by tokens."""
    return entry(name, role, *(f'token_sha256 = "{digest(it)}"' for it in tokens))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that has this token."""
    return (("authorization", f"Bearer {token}"),)


def put(path: Path, *entries: str) -> Path:
    """Write a file, as a whole at once."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(entries))
    new.replace(path)
    return path


def info_of(failure: Any) -> tuple[str, str, Mapping[str, str]]:
    """An error as a caller sees it: code, reason, metadata."""
    return failure.code.name, failure.info.reason, dict(failure.info.metadata)
