"""How a client reaches a gateway: in clear or in TLS, with or without a token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from gateway.address import is_loopback

# A token of the largest kind (a JWT with many claims) has some kilobytes; the gateway takes 8 KiB
# of headers. More is a file that was taken for it.
_TOKEN_BYTES_MAX = 8 * 1024

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a gateway is, and what a client shows it.

    `tls` asks for TLS; so does each of the files. `ca` has the certificates to know the gateway by
    (default: the usual public ones), `cert` and `key` are the client's own, and `token_file` holds
    a bearer token, which is read anew for each call.
    """

    address: str
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether it is in TLS."""
        return self.tls or self.ca is not None or self.cert is not None or self.key is not None

    def check(self) -> None:
        """Raise ValueError for files that cannot be used, or a token that would go in clear."""
        if (self.cert is None) != (self.key is None):
            raise ValueError("a certificate and its key must both be given")
        for path in (self.ca, self.cert, self.key):
            if path is not None:
                _read(path)
        if self.token_file is None:
            return
        _token(self.token_file)
        if not self.is_encrypted and not _is_here(self.address):
            raise ValueError(f"the token would go to {self.address} unencrypted: connect in TLS")

    def open(self, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
        """Return a channel; connects at its first call. Raises ValueError as `check` does."""
        self.check()
        interceptors = None if self.token_file is None else _bearers(self.token_file)
        if not self.is_encrypted:
            return grpc.aio.insecure_channel(self.address, options, interceptors=interceptors)
        credentials = grpc.ssl_channel_credentials(
            *(None if path is None else _read(path) for path in (self.ca, self.key, self.cert))
        )
        if self.address.startswith(_UNIX):
            # Else gRPC would look for the path among the certificate's names.
            options = (*options, ("grpc.ssl_target_name_override", "localhost"))
        return grpc.aio.secure_channel(
            self.address, credentials, options, interceptors=interceptors
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def _token(path: Path) -> str:
    data = _read(path).strip()
    if not data or len(data) > _TOKEN_BYTES_MAX or not all(0x21 <= byte <= 0x7E for byte in data):
        # Anything else would be refused much later, or split the header.
        raise ValueError(f"{path} is not a token: one line of printable ASCII without blanks")
    return data.decode()


def _is_here(address: str) -> bool:
    if address.startswith(_UNIX):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    return is_loopback(host)


def _bearers(path: Path) -> list[grpc.aio.ClientInterceptor]:
    """Return what puts the token beside each call; gRPC asks for one for each kind of call.

    Its own credentials of calls are refused on a channel in clear, be it to this host.
    """
    return [_UnaryBearer(path), _StreamBearer(path), _DuplexBearer(path)]


class _UnaryBearer(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, path: Path) -> None:
        self._path = path

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(_with_token(details, self._path), request)


class _StreamBearer(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, path: Path) -> None:
        self._path = path

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(_with_token(details, self._path), request)


class _DuplexBearer(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, path: Path) -> None:
        self._path = path

    async def intercept_stream_stream(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, requests: Any
    ) -> Any:
        return await continuation(_with_token(details, self._path), requests)


def _with_token(details: grpc.aio.ClientCallDetails, path: Path) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {_token(path)}")
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )
